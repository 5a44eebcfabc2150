import type { ShardRow } from '@leakage/postgres';
import type { ProfileVersion } from './domain/types.ts';

/** Members whose profiles are kept at most. */
const PROFILES_MAX = 200_000;

interface ShardOfCache {
  /** The state_version that the shard had when these profiles were all there is; null while a batch is being applied. */
  version: number | null;
  readonly members: Members;
}

type Members = Map<string, readonly ProfileVersion[]>;

/**
 * What this process knows of profiles, by shard. It holds as long as nobody else has written to the shard: every commit raises
 * the shard's state_version, so under the shard's lock one comparison tells. A batch that failed leaves nothing to be trusted,
 * and neither does a lost connection: the server that answers next may have been restored from a backup, where versions come again.
 */
export class ProfileCache {
  readonly #shards = new Map<number, ShardOfCache>();
  readonly #shardOf: (memberId: string) => number;
  readonly #max: number;
  #locked: readonly ShardRow[] = [];
  /** Of the locked shards; of another one nothing is certain. */
  #open = new Map<number, Members>();
  #size = 0;
  #connection: object | null = null;

  constructor(shardOf: (memberId: string) => number, max = PROFILES_MAX) {
    this.#shardOf = shardOf;
    this.#max = max;
  }

  /** Members that are known. */
  get size(): number {
    return this.#size;
  }

  /** A batch begins, or begins again, on this connection and under these locks. */
  begin(connection: object, locked: readonly ShardRow[]): void {
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#shards.clear();
      this.#size = 0;
    }
    this.#locked = locked;
    this.#open = new Map(locked.map((row) => [row.shard, this.#membersAt(row)]));
  }

  /** The batch has brought other profiles of these members. */
  forget(memberIds: Iterable<string>): void {
    for (const memberId of memberIds) {
      if (this.#membersOf(memberId)?.delete(memberId)) this.#size -= 1;
    }
  }

  /** All versions of the members' profiles: known ones, and of the others what `read` gives. */
  async profiles(
    memberIds: readonly string[],
    read: (memberIds: readonly string[]) => Promise<readonly ProfileVersion[]>,
  ): Promise<readonly ProfileVersion[]> {
    const found: ProfileVersion[] = [];
    const unknown: string[] = [];
    for (const memberId of memberIds) {
      const known = this.#membersOf(memberId)?.get(memberId);
      if (known === undefined) unknown.push(memberId);
      else found.push(...known);
    }
    if (unknown.length === 0) return found;
    const versions = Map.groupBy(await read(unknown), ({ member_id }) => member_id);
    for (const memberId of unknown) {
      const ofMember = versions.get(memberId) ?? [];
      found.push(...ofMember);
      this.#learn(memberId, ofMember);
    }
    return found;
  }

  /** The batch is committed: every locked shard has the next version. */
  confirm(): void {
    for (const { shard, stateVersion } of this.#locked) {
      const known = this.#shards.get(shard);
      if (known !== undefined) known.version = stateVersion + 1;
    }
    this.#locked = [];
  }

  /** What is known of a shard if it still is at the version that this process left it at; else nothing. */
  #membersAt({ shard, stateVersion }: ShardRow): Members {
    const known = this.#shards.get(shard);
    if (known !== undefined && known.version === stateVersion) {
      known.version = null;
      return known.members;
    }
    this.#size -= known?.members.size ?? 0;
    const empty = { version: null, members: new Map() };
    this.#shards.set(shard, empty);
    return empty.members;
  }

  #membersOf(memberId: string): Members | undefined {
    return this.#open.get(this.#shardOf(memberId));
  }

  #learn(memberId: string, versions: readonly ProfileVersion[]): void {
    const members = this.#membersOf(memberId);
    if (members === undefined) return;
    if (this.#size >= this.#max) {
      const [oldest] = members.keys();
      if (oldest === undefined) return;
      members.delete(oldest);
      this.#size -= 1;
    }
    members.set(memberId, versions);
    this.#size += 1;
  }
}

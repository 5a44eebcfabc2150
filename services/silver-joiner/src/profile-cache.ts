import type { ShardRow } from '@leakage/postgres';
import type { ProfileVersion } from './domain/types.ts';
import { ShardMemory } from './shard-memory.ts';

/** Members whose profiles are kept at most. */
const PROFILES_MAX = 200_000;

type Members = Map<string, readonly ProfileVersion[]>;

/** The profiles of members, read once. */
export class ProfileCache {
  readonly #memory = new ShardMemory<Members>(() => new Map());
  readonly #shardOf: (memberId: string) => number;
  readonly #max: number;

  constructor(shardOf: (memberId: string) => number, max = PROFILES_MAX) {
    this.#shardOf = shardOf;
    this.#max = max;
  }

  /** Members that are known. */
  get size(): number {
    let size = 0;
    for (const members of this.#memory.all()) size += members.size;
    return size;
  }

  begin(connection: object, locked: readonly ShardRow[]): void {
    this.#memory.begin(connection, locked);
  }

  /** The batch has brought other profiles of these members. */
  forget(memberIds: Iterable<string>): void {
    for (const memberId of memberIds) this.#membersOf(memberId)?.delete(memberId);
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

  confirm(raised: ReadonlySet<number>): void {
    this.#memory.confirm(raised);
  }

  #membersOf(memberId: string): Members | undefined {
    return this.#memory.of(this.#shardOf(memberId));
  }

  #learn(memberId: string, versions: readonly ProfileVersion[]): void {
    const members = this.#membersOf(memberId);
    if (members === undefined) return;
    if (this.size >= this.#max) {
      const [oldest] = members.keys();
      if (oldest === undefined) return;
      members.delete(oldest);
    }
    members.set(memberId, versions);
  }
}

import { type Cube, cubes, type Fact, type FactKind } from './cubes.ts';

/** One side of a change: a fact that was (-1) or is (1). A change of a fact is both, its coming or going one of them. */
export interface SignedFact {
  readonly kind: FactKind;
  readonly sign: 1 | -1;
  readonly fact: Fact;
}

/** What must be added to one cell of a cube. */
export interface CellDelta {
  readonly key: readonly (string | number)[];
  readonly amounts: readonly number[];
}

export interface CubeDelta {
  readonly cube: Cube;
  /** In key order, one per cell, none of them zero. */
  readonly cells: readonly CellDelta[];
}

interface OpenCell {
  readonly key: readonly (string | number)[];
  readonly amounts: number[];
}

// Text from Postgres never holds U+0000, so joined keys are equal only where their parts are.
const SEPARATOR = '\0';

/**
 * Changes as additions and subtractions, grouped by cell. Addition knows no order, so duplicates, replays, corrections
 * and late events need no case of their own: any cut of a change log into batches gives the same sums (law 7). Facts of days
 * before `closedBefore` are another generation's to count.
 */
export function fold(facts: readonly SignedFact[], closedBefore: string | null = null): CubeDelta[] {
  const counted = closedBefore === null ? facts : facts.filter(({ fact }) => !isClosed(fact, closedBefore));
  return cubes.map((cube) => {
    const cells = new Map<string, OpenCell>();
    for (const { kind, sign, fact } of counted) if (kind === cube.kind) add(cells, cube, fact, sign);
    return { cube, cells: [...cells.values()].filter(isNotZero).sort(byKey) };
  });
}

/** Facts of members have no day. */
function isClosed({ local_date: day }: Fact, closedBefore: string): boolean {
  return typeof day === 'string' && day < closedBefore;
}

function add(cells: Map<string, OpenCell>, cube: Cube, fact: Fact, sign: 1 | -1): void {
  const contribution = cube.contribution(fact);
  if (contribution === null) return;
  const id = contribution.key.join(SEPARATOR);
  let cell = cells.get(id);
  if (cell === undefined) {
    cell = { key: contribution.key, amounts: contribution.amounts.map(() => 0) };
    cells.set(id, cell);
  }
  const { amounts } = cell;
  for (let i = 0; i < amounts.length; i++) amounts[i] = (amounts[i] ?? 0) + sign * (contribution.amounts[i] ?? 0);
}

function isNotZero(cell: OpenCell): boolean {
  return cell.amounts.some((amount) => amount !== 0);
}

function byKey(a: OpenCell, b: OpenCell): number {
  for (const [i, x] of a.key.entries()) {
    const y = b.key[i];
    if (y === undefined || x === y) continue;
    return x < y ? -1 : 1;
  }
  return 0;
}

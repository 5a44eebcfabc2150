import { type Cube, cubes, type Fact, type FactKind } from './cubes.ts';

/** One row of the change log: a fact before and after; null where it did not or does not exist. */
export interface Change {
  readonly kind: FactKind;
  readonly before: Fact | null;
  readonly after: Fact | null;
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
 * and late events need no case of their own: any cut of a change log into batches gives the same sums (law 7).
 */
export function fold(changes: readonly Change[]): CubeDelta[] {
  return cubes.map((cube) => {
    const cells = new Map<string, OpenCell>();
    for (const change of changes) {
      if (change.kind !== cube.kind) continue;
      if (change.before !== null) add(cells, cube, change.before, -1);
      if (change.after !== null) add(cells, cube, change.after, 1);
    }
    return { cube, cells: [...cells.values()].filter(isNotZero).sort(byKey) };
  });
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
  for (const [i, amount] of contribution.amounts.entries()) cell.amounts[i] = (cell.amounts[i] ?? 0) + sign * amount;
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

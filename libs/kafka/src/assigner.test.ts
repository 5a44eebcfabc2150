import fc from 'fast-check';
import { expect, test } from 'vitest';
import { assignPartitions } from './assigner.ts';

const topics = ['journeys', 'calls', 'members'];

test('partition p of every topic goes to the same member, every partition to exactly one, and the load is equal', () => {
  const input = fc.tuple(
    fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 15 }),
    fc.integer({ min: 1, max: 40 }),
  );
  fc.assert(
    fc.property(input, ([ids, partitions]) => {
      const members = ids.map((id) => ({ id, topics }));
      const assignment = assignPartitions(
        members,
        topics.map((topic) => ({ topic, partitions })),
      );
      const owned = [...assignment.values()];
      for (const parts of owned) {
        expect(parts.calls).toEqual(parts.journeys);
        expect(parts.members).toEqual(parts.journeys);
      }
      const numbers = owned.flatMap((parts) => parts.calls ?? []).toSorted((a, b) => a - b);
      expect(numbers).toEqual(Array.from({ length: partitions }, (_, p) => p));
      const loads = owned.map((parts) => parts.calls?.length ?? 0);
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
    }),
  );
});

test('the order in which members are listed does not matter', () => {
  const counted = topics.map((topic) => ({ topic, partitions: 12 }));
  const members = ['b', 'a', 'c'].map((id) => ({ id, topics }));
  expect(assignPartitions(members.toReversed(), counted)).toEqual(assignPartitions(members, counted));
});

test('unequal partition counts: the common numbers still meet', () => {
  const assignment = assignPartitions(
    ['a', 'b'].map((id) => ({ id, topics: ['journeys', 'calls'] })),
    [
      { topic: 'journeys', partitions: 4 },
      { topic: 'calls', partitions: 2 },
    ],
  );
  expect(Object.fromEntries(assignment)).toEqual({
    a: { journeys: [0, 2], calls: [0] },
    b: { journeys: [1, 3], calls: [1] },
  });
});

test('a member gets only topics that it subscribed to, and a topic that nobody wants goes to nobody', () => {
  const assignment = assignPartitions(
    [
      { id: 'a', topics: ['journeys'] },
      { id: 'b', topics: ['journeys', 'calls'] },
    ],
    [
      { topic: 'journeys', partitions: 2 },
      { topic: 'calls', partitions: 2 },
      { topic: 'other', partitions: 2 },
    ],
  );
  expect(Object.fromEntries(assignment)).toEqual({
    a: { journeys: [0] },
    b: { journeys: [1], calls: [0, 1] },
  });
});

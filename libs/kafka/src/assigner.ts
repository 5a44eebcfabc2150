import kafkajs, { type GroupMember, type PartitionAssigner } from 'kafkajs';

export interface Subscriber {
  readonly id: string;
  readonly topics: readonly string[];
}

/** By member id, by topic, the partition numbers. */
export type Assignment = Map<string, Record<string, number[]>>;

/**
 * Partition p of every topic goes to the same member, so that one process meets all records of a member of the plan; members
 * are equally loaded up to one partition number. kafkajs' own assigners spread the partitions of each topic independently.
 */
export function assignPartitions(
  members: readonly Subscriber[],
  topics: readonly { readonly topic: string; readonly partitions: number }[],
): Assignment {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const assignment: Assignment = new Map(sorted.map(({ id }) => [id, {}]));
  for (const { topic, partitions } of topics) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const owner = ownerOf(sorted, topic, partition);
      if (owner === undefined) continue;
      const mine = assignment.get(owner.id) ?? {};
      mine[topic] = [...(mine[topic] ?? []), partition];
      assignment.set(owner.id, mine);
    }
  }
  return assignment;
}

function ownerOf(sorted: readonly Subscriber[], topic: string, partition: number): Subscriber | undefined {
  const natural = sorted[partition % sorted.length];
  if (natural?.topics.includes(topic)) return natural;
  const subscribers = sorted.filter((member) => member.topics.includes(topic));
  return subscribers[partition % subscribers.length];
}

export const copartitionAssigner: PartitionAssigner = ({ cluster }) => {
  const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;
  const name = 'leakage-copartition';
  const version = 1;
  return {
    name,
    version,
    protocol: ({ topics }) => ({
      name,
      metadata: MemberMetadata.encode({ version, topics, userData: Buffer.alloc(0) }),
    }),
    assign: async ({ members, topics }) => {
      const counted = topics.map((topic) => ({ topic, partitions: cluster.findTopicPartitionMetadata(topic).length }));
      const subscribers = members.map(({ memberId, memberMetadata }: GroupMember) => ({
        id: memberId,
        topics: MemberMetadata.decode(memberMetadata)?.topics ?? topics,
      }));
      return [...assignPartitions(subscribers, counted)].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
      }));
    },
  };
};

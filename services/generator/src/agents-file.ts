import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { faker } from '@faker-js/faker/locale/en_US';

const REFERENCE_DATE = '2026-01-01T00:00:00Z';

/** Names for the agents of the invented calls, for people who look at them; nothing depends on them. */
export async function writeAgents(folder: string, o: { seed: number; agents: number }): Promise<void> {
  faker.setDefaultRefDate(REFERENCE_DATE);
  const lines = Array.from({ length: o.agents }, (_, i) => {
    faker.seed([o.seed % 2 ** 31, i]);
    return JSON.stringify({ agent_id: agentId(i + 1), name: faker.person.fullName() });
  });
  await writeFile(join(folder, 'agents.jsonl'), `${lines.join('\n')}\n`);
}

function agentId(number: number): string {
  return `AGT-${String(number).padStart(4, '0')}`;
}

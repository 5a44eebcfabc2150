// Writes src/avro.generated.ts from avro/*.avsc: the same schemas as literals, so that types can be derived from them.
import { readFileSync, writeFileSync } from 'node:fs';

/** Every version of every contract. A version that was released is never edited: its records lie in topics. */
export const SCHEMA_FILES = {
  digitalJourneyEventV1: 'digital_journey_event.v1.avsc',
  digitalJourneyEventV2: 'digital_journey_event.v2.avsc',
  callLogV1: 'call_log.v1.avsc',
  memberProfileV1: 'member_profile.v1.avsc',
  leakageChangeV1: 'leakage_change.v1.avsc',
} as const;

export function readSchema(file: string): unknown {
  return JSON.parse(readFileSync(new URL(`../avro/${file}`, import.meta.url), 'utf8'));
}

if (import.meta.main) {
  const consts = Object.entries(SCHEMA_FILES).map(
    ([name, file]) => `export const ${name} = ${JSON.stringify(readSchema(file))} as const;\n`,
  );
  const header = '// Generated from avro/*.avsc by `npm run generate -w @leakage/schemas`. Do not edit.\n';
  writeFileSync(new URL('../src/avro.generated.ts', import.meta.url), `${header}\n${consts.join('\n')}`);
}

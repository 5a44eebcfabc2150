// Writes src/avro.generated.ts from avro/*.avsc: the same schemas as literals, so that types can be derived from them.
import { readFileSync, writeFileSync } from 'node:fs';

export const SCHEMA_FILES = {
  digitalJourneyEvent: 'digital_journey_event.avsc',
  callLog: 'call_log.avsc',
  memberProfile: 'member_profile.avsc',
  leakageChange: 'leakage_change.avsc',
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

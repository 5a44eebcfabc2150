/** Ten days of a tenth of the preset small: some seconds of work for the generator, with many places to be disturbed at. */
export const smallWorld = {
  ANCHOR_DATE: '2026-03-10',
  HISTORY_DAYS: '10',
  NUM_MEMBERS: '1000',
  NUM_DIGITAL_JOURNEYS: '1285',
  NUM_CALLS: '30',
  LIVE: 'false',
  GENERATOR_BATCH_RECORDS: '200',
} as const;

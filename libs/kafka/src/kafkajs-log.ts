import type { Logger } from '@leakage/runtime';
import { type LogEntry, logLevel } from 'kafkajs';

type Level = 'error' | 'warn' | 'info' | 'debug' | 'trace';

// kafkajs reports these as errors although they are what a group or a broker that starts looks like, and it retries them.
const routine = [
  'coordinator is not available',
  'coordinator is loading',
  'not the correct coordinator',
  'group is rebalancing',
  'requires the group member to have a valid member id',
  'in the middle of a leadership election',
  'does not host this topic-partition',
  'not the leader for that topic-partition',
  'specified group generation id is not valid',
];

/** A broker that is away makes kafkajs repeat itself several times a second. */
const repeatMs = 15_000;
const rememberedMax = 100;

/** Turns kafkajs' log entries into lines of ours; its stack traces and payloads stay out. */
export function kafkaLogCreator(log: Logger): () => (entry: LogEntry) => void {
  const isRepeated = rememberTexts();
  return () => (entry) => {
    const { message, error, broker, groupId, topic, partition, retryCount } = entry.log;
    const reason = typeof error === 'string' ? error : error instanceof Error ? error.message : undefined;
    const level = levelOf(entry.level, `${message} ${reason ?? ''}`);
    const shown = level === 'warn' && isRepeated(`${message} ${reason ?? ''}`) ? 'debug' : level;
    log[shown](
      { component: `kafkajs ${entry.namespace}`.trim(), reason, broker, groupId, topic, partition, retryCount },
      message,
    );
  };
}

/** Whether a text was seen less than `repeatMs` ago. */
export function rememberTexts(now: () => number = Date.now): (text: string) => boolean {
  const shownAt = new Map<string, number>();
  return (text) => {
    const before = shownAt.get(text);
    if (before !== undefined && now() - before < repeatMs) return true;
    if (shownAt.size >= rememberedMax) shownAt.clear();
    shownAt.set(text, now());
    return false;
  };
}

/** One step below kafkajs' own level: nothing that it survives is an error of ours, and normal operation is quiet. */
export function levelOf(level: logLevel, text: string): Level {
  if (level === logLevel.DEBUG) return 'trace';
  if (level === logLevel.INFO) return 'debug';
  if (routine.some((phrase) => text.includes(phrase))) return 'debug';
  return level === logLevel.ERROR ? 'warn' : 'info';
}

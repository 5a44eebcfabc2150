import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from './common-settings.ts';

export type { Logger } from 'pino';

export interface LoggerOptions {
  readonly service: string;
  readonly level?: LogLevel;
  /** Where the lines go; default: stdout, written synchronously, so that the last words before an exit are not lost. */
  readonly stream?: DestinationStream;
}

/** JSON lines with level, time (ISO 8601), service and msg. Fields that could name a member are never written. */
export function createLogger({
  service,
  level = 'info',
  stream = destination({ fd: 1, sync: true }),
}: LoggerOptions): Logger {
  return pino(
    {
      level,
      base: { service, pid: process.pid },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
      redact: {
        paths: ['member_id', 'memberId', '*.member_id', '*.memberId', 'password', '*.password'],
        censor: '***',
      },
    },
    stream,
  );
}

interface ErrorDescription {
  readonly type: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorDescription;
}

/** Only what helps and cannot hold data: drivers put whole rows into further fields of their errors ("Key (member_id)=..."). */
export function describeError(error: unknown, depth = 0): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  return {
    type: error.name,
    message: error.message,
    ...('code' in error && typeof error.code === 'string' ? { code: error.code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause === undefined || depth >= 5 ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}

import { destination, type Logger, pino } from 'pino';

export type { Logger };

/** A logger that writes JSON lines to stderr, so that stdout stays free for what a command answers. */
export function createLogger(level: string): Logger {
  return pino(
    { level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
    destination({ dest: 2, sync: true }),
  );
}

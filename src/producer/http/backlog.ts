import { PatchlineError } from '../../shared/errors.js';
import { countBacklog } from '../../shared/queues.js';
import type { Producer } from '../enqueue.js';

/** How long a count is taken as known; images taken in since then are added to it. */
const knownForMs = 250;

export interface Backlog {
  /** Makes room for one more image. @throws BACKLOG_FULL */
  admit(): Promise<void>;
}

export function createBacklog({ queues, config }: Producer): Backlog {
  const { maxBacklog } = config.limits;
  let counting: Promise<number> | undefined;
  let countedAt = 0;
  let admitted = 0;
  const count = (): Promise<number> => {
    if (counting && Date.now() - countedAt < knownForMs) return counting;
    counting = countBacklog(queues);
    countedAt = Date.now();
    admitted = 0;
    counting.catch(() => {
      counting = undefined;
    });
    return counting;
  };
  return {
    async admit() {
      const counted = await count();
      if (counted + admitted >= maxBacklog) {
        throw new PatchlineError(
          'BACKLOG_FULL',
          `Expected fewer than ${maxBacklog} inspections under way (limits.maxBacklog) but there are ${counted + admitted}`,
          { retryable: true },
        );
      }
      admitted++;
    },
  };
}

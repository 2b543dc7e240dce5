import { setTimeout as sleep } from 'node:timers/promises';

/** How long a live job waits at most for somebody to see that all slots are taken. */
const lookEveryMs = 10;

/** What is used of BullMQ's Worker. */
interface Slots {
  concurrency: number;
  pause(doNotWaitActive: boolean): Promise<void>;
  resume(): Promise<void>;
}

export interface LiveSlot {
  /** Runs the handler of a job and counts it; `waits` for one of a backfill. */
  running<T>(waits: boolean, handle: () => Promise<T>): Promise<T>;
  /** Opens none any more: the worker is about to close. */
  stop(): void;
}

/**
 * A slot more for live jobs. BullMQ hands out live jobs before those of a backfill, but only when a slot is free: while jobs of a
 * backfill hold all of them, somebody looks whether a live job waits, and if so opens one more for it.
 *
 * @param slots the worker, known when its first job runs
 * @param countLive how many live jobs wait
 */
export function openLiveSlot(slots: () => Slots, concurrency: number, countLive: () => Promise<number>): LiveSlot {
  let running = 0;
  let waiting = 0;
  let looking = false;
  let stopped = false;
  const isFull = () => !stopped && waiting >= concurrency && running < 2 * concurrency;
  const look = async () => {
    looking = true;
    while (isFull()) {
      if ((await countLive()) > 0 && isFull()) {
        slots().concurrency = running + 1;
        await slots().pause(true); // the worker looks for a job when it goes on, and not before one ends
        await slots().resume();
      }
      await sleep(lookEveryMs);
    }
    looking = false;
  };
  return {
    stop() {
      stopped = true;
    },
    async running(waits, handle) {
      slots().concurrency = concurrency;
      running++;
      if (waits) waiting++;
      if (isFull() && !looking)
        look().catch(() => {
          looking = false; // Redis is away: the worker itself says so
        });
      try {
        return await handle();
      } finally {
        running--;
        if (waits) waiting--;
      }
    },
  };
}

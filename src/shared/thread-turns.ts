import { setTimeout as sleep } from 'node:timers/promises';

/** How long after work that cannot wait more of it is expected. */
const expectedWithinMs = 30_000;
/** With no more threads than this, what can wait rests as long as it worked: queues and store need the cores too. */
const fewThreads = 2;

/** Who may give work to the threads of a pool. */
export interface ThreadTurns {
  /** At once: it stands in line with others of its kind. */
  urgent<T>(work: () => Promise<T>): Promise<T>;
  /**
   * When a thread is free for it. While urgent work comes now and then, one of several threads is left free beside those that are
   * busy with it, so that such work begins at once and finds the machine idle enough.
   */
  behind<T>(work: () => Promise<T>): Promise<T>;
}

export function createThreadTurns(threads: number): ThreadTurns {
  const waiting: (() => void)[] = [];
  let urgentRunning = 0;
  let behindRunning = 0;
  let urgentAt = Number.NEGATIVE_INFINITY;
  const isExpected = () => performance.now() - urgentAt < expectedWithinMs;
  const mayBegin = () => {
    const most = isExpected() ? Math.max(1, threads - 1) : threads;
    return behindRunning < most - urgentRunning;
  };
  const beginWaiting = () => {
    while (waiting.length > 0 && mayBegin()) {
      behindRunning++;
      waiting.shift()!();
    }
  };
  const makeRoom = async (workedMs: number) => {
    if (threads <= fewThreads && isExpected()) await sleep(workedMs, undefined, { ref: false });
    behindRunning--;
    beginWaiting();
  };
  return {
    async urgent(work) {
      urgentAt = performance.now();
      urgentRunning++;
      try {
        return await work();
      } finally {
        urgentRunning--;
        beginWaiting();
      }
    },
    async behind(work) {
      if (waiting.length === 0 && mayBegin()) behindRunning++;
      else await new Promise<void>((begin) => waiting.push(begin));
      const begunAt = performance.now();
      try {
        return await work();
      } finally {
        void makeRoom(performance.now() - begunAt);
      }
    },
  };
}

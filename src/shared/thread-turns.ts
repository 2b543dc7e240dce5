/** How long after work that cannot wait more of it is expected. */
const expectedWithinMs = 30_000;

/** Who may give work to the threads of a pool. */
export interface ThreadTurns {
  /** At once: it stands in line with others of its kind. */
  urgent<T>(work: () => Promise<T>): Promise<T>;
  /**
   * When a thread is free for it; and while urgent work comes now and then, one of several threads is left free, so that such work
   * begins at once.
   */
  behind<T>(work: () => Promise<T>): Promise<T>;
}

export function createThreadTurns(threads: number): ThreadTurns {
  const waiting: (() => void)[] = [];
  let urgentRunning = 0;
  let behindRunning = 0;
  let urgentAt = Number.NEGATIVE_INFINITY;
  const mayBegin = () => {
    const isExpected = performance.now() - urgentAt < expectedWithinMs;
    const most = isExpected ? Math.max(1, threads - 1) : threads;
    return behindRunning < most && urgentRunning + behindRunning < threads;
  };
  const beginWaiting = () => {
    while (waiting.length > 0 && mayBegin()) {
      behindRunning++;
      waiting.shift()!();
    }
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
      try {
        return await work();
      } finally {
        behindRunning--;
        beginWaiting();
      }
    },
  };
}

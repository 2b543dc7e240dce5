/**
 * Enough to keep the threads of a machine busy, few enough to hold in memory. Results come in the order of what was asked, so
 * that sums do not depend on which thread was first.
 */
export const runsAtATime = { concurrency: 16, backpressure: 16 } as const;

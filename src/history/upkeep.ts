import { type History, reach } from './table.js';

/** Older versions of the table are kept this long for who reads them. */
const keptVersionsMs = 10 * 60_000;

/**
 * Fragments, one for each batch written, that a table of so many rows may have before they are joined: joining writes up to a million
 * rows anew, so it comes more seldom as the table grows.
 */
export const fragmentsAllowed = (rows: number): number => Math.min(1_000, Math.max(100, rows / 1_000));

/** Joins small fragments and drops old versions where there are too many. @throws HISTORY_UNAVAILABLE */
export async function keepUp(history: History): Promise<void> {
  const { numRows, fragmentStats } = await reach(history, () => history.table.stats());
  if (fragmentStats.numFragments >= fragmentsAllowed(numRows)) await tidy(history);
}

/** @throws HISTORY_UNAVAILABLE */
export async function tidy(history: History): Promise<void> {
  await reach(history, () => history.table.optimize({ cleanupOlderThan: new Date(Date.now() - keptVersionsMs) }));
}

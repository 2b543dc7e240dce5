import { Index } from '@lancedb/lancedb';
import { type History, reach } from './table.js';

/** Older versions of the table are kept this long for who reads them: each holds files of its own. */
const keptVersionsMs = 2 * 60_000;

/** Rows from which on searching all embeddings takes longer than an index does (docs/history.md). */
const rowsWorthIndex = 50_000;

/** Of the index over the embeddings; nearest.ts looks into a quarter of them. */
const indexPartitions = 256;

/**
 * Fragments, one for each batch written, that a table of so many rows may have before they are joined: joining writes up to a million
 * rows anew, so it comes more seldom as the table grows.
 */
export const fragmentsAllowed = (rows: number): number => Math.min(1_000, Math.max(100, rows / 1_000));

/** Tidies the table where it has too many small fragments. @throws HISTORY_UNAVAILABLE */
export async function keepUp(history: History): Promise<void> {
  const { numRows, fragmentStats } = await reach(history, () => history.table.stats());
  if (fragmentStats.numFragments >= fragmentsAllowed(numRows)) await tidy(history);
}

/**
 * Joins small fragments, takes new rows into the index, drops old versions, and makes the index when the table has become large.
 *
 * @throws HISTORY_UNAVAILABLE
 */
export async function tidy(
  history: History,
  { indexFrom = rowsWorthIndex, keepMs = keptVersionsMs } = {},
): Promise<void> {
  const { table } = history;
  await reach(history, async () => {
    await table.optimize({ cleanupOlderThan: new Date(Date.now() - keepMs) });
    const { numRows, numIndices } = await table.stats();
    if (numRows < indexFrom || numIndices > 0) return;
    await table.createIndex('embedding', {
      config: Index.ivfFlat({
        distanceType: 'cosine',
        numPartitions: indexPartitions,
        maxIterations: 10,
        sampleRate: 64,
      }),
    });
  });
}

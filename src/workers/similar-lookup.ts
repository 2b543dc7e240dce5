import { setTimeout as sleep } from 'node:timers/promises';
import { mayHaveHistory } from '../history/place.js';
import type { History } from '../history/table.js';
import type { Config } from '../shared/config.js';
import type { ScoredInspection, Similar, Warning } from '../shared/contracts.js';
import { messageOf } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { ObjectStore } from '../shared/store/object-store.js';

/** The inspections most like one; nothing where no history is there, a warning where it cannot be used. */
export interface FoundSimilar {
  similar?: Similar[];
  warning?: Warning;
}

export type FindSimilar = (inspection: ScoredInspection) => Promise<FoundSimilar>;

interface Timing {
  /** No inspection waits longer for history. */
  limitMs?: number;
  /** After history was missing or did not answer, no inspection asks for it for this long. */
  pauseMs?: number;
}

/** Looks up similar inspections for results. Never throws: an inspection is whole without them. */
export function createSimilarLookup(
  { store, config, logger }: { store: ObjectStore; config: Config; logger: Logger },
  { limitMs = 2_000, pauseMs = 10_000 }: Timing = {},
): FindSimilar {
  let history: History | undefined;
  let paused: { until: number; found: FoundSimilar } | undefined;

  async function look(inspection: ScoredInspection): Promise<Similar[] | undefined> {
    const [{ openHistory }, { findSimilar, suspectOf }] = await loadHistory();
    return await within(limitMs, async () => {
      history ??= await openHistory(store);
      if (!history) return undefined;
      const found = await findSimilar(history, suspectOf(inspection, inspection.scored), config.history.similar);
      return found.map(({ imageKey: _, ...similar }) => similar);
    });
  }

  return async (inspection) => {
    if (!config.history.enabled || !mayHaveHistory(store)) return {};
    if (paused && Date.now() < paused.until) return paused.found;
    try {
      const similar = await look(inspection);
      if (similar) return { similar };
      paused = { until: Date.now() + pauseMs, found: {} };
    } catch (error) {
      logger.warn({ inspectionId: inspection.inspectionId, err: error }, 'no similar inspections: history unavailable');
      history = undefined;
      const warning = { code: 'HISTORY_UNAVAILABLE', message: messageOf(error) };
      paused = { until: Date.now() + pauseMs, found: { warning } };
    }
    return paused.found;
  };
}

/** Loaded when first needed: LanceDB is large, and most lines are good. */
const loadHistory = () => Promise.all([import('../history/table.js'), import('../history/nearest.js')]);

async function within<T>(limitMs: number, task: () => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const late = sleep(limitMs, undefined, { signal: ended.signal }).then(() => {
    throw new Error(`Expected an answer of the history of inspections within ${limitMs} ms`);
  });
  try {
    return await Promise.race([task(), late]);
  } finally {
    ended.abort();
  }
}

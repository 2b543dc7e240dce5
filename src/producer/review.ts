import { mayHaveHistory } from '../history/place.js';
import { inspectionSchema } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { hasResult } from '../shared/results.js';
import { type NewReview, type Review, writeReview } from '../shared/reviews.js';
import type { ObjectStore } from '../shared/store/object-store.js';

/**
 * Keeps what a person says of an inspected part, beside its result and in history. An inspection that failed can be reviewed too:
 * the part is there all the same.
 *
 * @throws INSPECTION_NOT_FOUND where it has no result
 */
export async function reviewInspection(
  { store, logger }: { store: ObjectStore; logger: Logger },
  inspectionId: string,
  given: NewReview,
): Promise<Review> {
  const isId = inspectionSchema.shape.inspectionId.safeParse(inspectionId).success;
  if (!isId || !(await hasResult(store, inspectionId))) {
    throw new PatchlineError(
      'INSPECTION_NOT_FOUND',
      `Expected an inspection with a result but received ${inspectionId}`,
    );
  }
  const review = await writeReview(store, inspectionId, given);
  try {
    await recordReview(store, inspectionId, review);
  } catch (error) {
    logger.warn({ err: error, inspectionId }, 'review kept, but not recorded in history yet');
  }
  return review;
}

/** A row that is not there yet is written with its review later. */
async function recordReview(store: ObjectStore, inspectionId: string, review: Review): Promise<void> {
  if (!mayHaveHistory(store)) return;
  const [{ openHistory }, { setReview }] = await Promise.all([
    import('../history/table.js'),
    import('../history/rows.js'),
  ]);
  const history = await openHistory(store);
  if (history) await setReview(history, inspectionId, review);
}

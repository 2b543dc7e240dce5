import { z } from 'zod';
import { verdictSchema } from './contracts.js';
import { reviewKey } from './keys.js';
import { getJson, type ObjectStore } from './store/object-store.js';

/** review.json beside a result: what a person said of the part. */
export const reviewSchema = z.strictObject({
  schema: z.literal(1),
  verdict: verdictSchema,
  note: z.string().optional(),
  by: z.string(),
  at: z.iso.datetime(),
});
export type Review = z.infer<typeof reviewSchema>;

/** The review of an inspection, undefined where nobody has judged it. */
export async function readReview(store: ObjectStore, inspectionId: string): Promise<Review | undefined> {
  const value = await getJson(store, reviewKey(inspectionId));
  return value === undefined ? undefined : reviewSchema.parse(value);
}

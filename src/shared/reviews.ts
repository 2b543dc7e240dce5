import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { verdictSchema } from './contracts.js';
import { namePattern, reviewKey } from './keys.js';
import { getJson, type ObjectStore, putJson } from './store/object-store.js';

/** What a person says of the part in an image. */
export const newReviewSchema = z
  .strictObject({
    verdict: verdictSchema,
    note: z.string().min(1).max(4_000).optional(),
    /** Who says so. */
    by: z.string().min(1).max(200),
    /** What the defect is called, of an anomalous part. */
    defectType: z.string().regex(namePattern).optional(),
  })
  .refine(({ verdict, defectType }) => verdict === 'anomalous' || defectType === undefined, {
    path: ['defectType'],
    error: 'Expected a type of defect with the verdict anomalous only',
  });
export type NewReview = z.infer<typeof newReviewSchema>;

const givenSchema = newReviewSchema.safeExtend({ at: z.iso.datetime() });

/** review.json beside a result: the last review, and those that it replaced, oldest first. */
export const reviewSchema = givenSchema.safeExtend({ schema: z.literal(1), earlier: z.array(givenSchema).optional() });
export type Review = z.infer<typeof reviewSchema>;

/** The review of an inspection, undefined where nobody has judged it. */
export async function readReview(store: ObjectStore, inspectionId: string): Promise<Review | undefined> {
  const value = await getJson(store, reviewKey(inspectionId));
  return value === undefined ? undefined : reviewSchema.parse(value);
}

/** Keeps a review of an inspection that has a result. The same one again changes nothing, so that it may be sent twice. */
export async function writeReview(store: ObjectStore, inspectionId: string, given: NewReview): Promise<Review> {
  const before = await readReview(store, inspectionId);
  if (before && isDeepStrictEqual(givenIn(before), given)) return before;
  const review: Review = { schema: 1, ...given, at: new Date().toISOString() };
  if (before) review.earlier = [...(before.earlier ?? []), { ...givenIn(before), at: before.at }];
  await putJson(store, reviewKey(inspectionId), review);
  return review;
}

function givenIn({ schema: _, at: __, earlier: ___, ...given }: Review): NewReview {
  return given;
}

import { z } from 'zod';
import { failedResultSchema, inspectionEventSchema, inspectionSchema, scoredResultSchema } from './contracts.js';
import { reviewSchema } from './reviews.js';

/** What `patchline serve` answers with: its OpenAPI document is made from these, its client takes their types. */

const outcome = z
  .enum(['enqueued', 'finished', 'busy'])
  .describe('`finished`: it had a result already; `busy`: a worker holds on to it, and reconcile looks at it again');

/** An image was taken in, and nothing was waited for, or not for long enough. */
export const acceptedSchema = z.strictObject({
  inspectionId: inspectionSchema.shape.inspectionId,
  imageKey: inspectionSchema.shape.imageKey,
  outcome,
});
export type Accepted = z.infer<typeof acceptedSchema>;

/** An image was taken in and has its verdict, or failed. */
export const judgedSchema = inspectionEventSchema.extend({ outcome });
export type Judged = z.infer<typeof judgedSchema>;

/** An image was taken in and has its result. */
export const inspectedSchema = z.discriminatedUnion('status', [
  scoredResultSchema.extend({ outcome }),
  failedResultSchema.extend({ outcome }),
]);
export type Inspected = z.infer<typeof inspectedSchema>;

export const runningSchema = z.strictObject({
  inspectionId: inspectionSchema.shape.inspectionId,
  status: z.literal('running'),
});

const review = reviewSchema.optional().describe('What a person said of the part; absent where nobody has');

/** A result and its review. */
export const reviewedResultSchema = z.discriminatedUnion('status', [
  scoredResultSchema.extend({ review }),
  failedResultSchema.extend({ review }),
]);
export type ReviewedResult = z.infer<typeof reviewedResultSchema>;

/** A result as a list shows it: without its vectors. */
export const listedSchema = z.discriminatedUnion('status', [
  scoredResultSchema.omit({ vectors: true }),
  failedResultSchema,
]);
export type Listed = z.infer<typeof listedSchema>;

export const inspectionPageSchema = z.strictObject({
  inspections: z.array(listedSchema),
  cursor: z.string().nullable().describe('Give it as `cursor` for the next page; null on the last one'),
});
export type InspectionPage = z.infer<typeof inspectionPageSchema>;

/** The first three are stored with a result; the others are drawn when they are asked for. */
export const artefactNames = [
  'overlay.png',
  'anomaly-map.npy',
  'gradcam.npy',
  'patch-pair.png',
  'gradcam-overlay.png',
  'waterfall.svg',
  'waterfall.png',
  'process-waterfall.svg',
] as const;
export type ArtefactName = (typeof artefactNames)[number];

export const readinessSchema = z.strictObject({
  ready: z.boolean(),
  queues: z.string().describe('`ok`, or what is wrong'),
  store: z.string().describe('`ok`, or what is wrong'),
  products: z.record(z.string(), z.string()).describe('The active bundle of each product; not ready without one'),
});

export const problemSchema = z.strictObject({
  error: z.strictObject({ code: z.string(), message: z.string() }),
});
export type Problem = z.infer<typeof problemSchema>;

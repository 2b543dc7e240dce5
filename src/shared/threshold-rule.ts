import { z } from 'zod';

/** How a bundle came to its threshold, and what its threshold does over images that the models had not seen. */
const share = z.number().min(0).max(1);
const count = z.number().int().nonnegative();

/** A share of images, with its 95 % interval. */
export const rateSchema = z.strictObject({ rate: share, interval: z.tuple([share, share]) });
export type Rate = z.infer<typeof rateSchema>;

export const thresholdRuleSchema = z.discriminatedUnion('rule', [
  /** median + thresholdFactor · spread */
  z.strictObject({ rule: z.literal('robust') }),
  /** A wanted share of good images flagged, by the tail of their scores: see `fitTail`. */
  z.strictObject({
    rule: z.literal('false-alarms'),
    rate: share,
    tail: z.strictObject({ start: z.number(), scale: z.number().positive(), images: count }),
  }),
  /** The smallest costMiss · misses + costAlarm · false alarms over good images and labelled defects. */
  z.strictObject({ rule: z.literal('cost'), costMiss: z.number().positive(), costAlarm: z.number().positive() }),
  /** `severity` on the scale of the version `base`. */
  z.strictObject({ rule: z.literal('by-hand'), severity: z.number().positive(), base: z.string() }),
]);
export type ThresholdRule = z.infer<typeof thresholdRuleSchema>;

export const heldOutSchema = z.strictObject({
  /** Scores of the training images, in their order, each by models that had not seen it. */
  good: z.array(z.number()),
  /** Scores of labelled defects, which no memory bank holds. */
  defects: z.array(z.number()).optional(),
});
export type HeldOutScores = z.infer<typeof heldOutSchema>;

/** The largest F1 over the scores of `heldOutSchema`, in hindsight: to compare by, not what the threshold gives. */
export const bestF1Schema = z.strictObject({ f1: share, threshold: z.number(), falseAlarms: count, misses: count });
export type BestF1 = z.infer<typeof bestF1Schema>;

/** A training image that hardly looks like the others, by its number. */
export const oddImageSchema = z.strictObject({ image: count, severity: z.number() });
export type OddImage = z.infer<typeof oddImageSchema>;

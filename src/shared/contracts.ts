import { z } from 'zod';
import { featureNames } from './kernels/readable-features.js';
import { namePattern } from './keys.js';
import { processSchema } from './process-data.js';

/**
 * What travels through the queues and what is written as a result. `stages` names the data and the result of each stage's
 * job; run-worker.ts checks both, and all types are inferred from here.
 */
const instant = z.iso.datetime();
const name = z.string().regex(namePattern);
const box = z.tuple([z.number(), z.number(), z.number(), z.number()]);

export const policySchema = z.enum(['flagged', 'all']);
export type Policy = z.infer<typeof policySchema>;
export type Verdict = z.infer<typeof verdictSchema>;
export const verdictSchema = z.enum(['good', 'anomalous']);

/** Corners [x, y] as fractions of the upright image's width and height, so that they hold at any resolution. */
const polygonSchema = z.array(z.tuple([z.number().min(0).max(1), z.number().min(0).max(1)])).min(3);

/** Which part of a camera's images is inspected: inside any polygon of `roi`, all of it without one, outside those of `ignore`. */
export const regionSchema = z.strictObject({
  roi: z.array(polygonSchema).default([]),
  ignore: z.array(polygonSchema).default([]),
});

/** One image's pass through one bundle version: what the producer fixed, so that every run of it takes the same way. */
export const inspectionSchema = z.strictObject({
  inspectionId: z.string().regex(/^i-\d{8}-[0-9a-f]{24}$/),
  imageKey: z.string().min(1),
  camera: name.nullable(),
  product: name,
  bundle: z.string().regex(/^v[1-9]\d*$/),
  policy: policySchema,
  /** BullMQ priority: 0 for live images, 10 for a backfill. */
  priority: z.number().int().min(0),
  capturedAt: instant,
  /** Of the camera; without one the bundle's own holds. */
  region: regionSchema.optional(),
  /** Given with the image. */
  process: processSchema.optional(),
});
export type Inspection = z.infer<typeof inspectionSchema>;

export const warningSchema = z.strictObject({ code: z.string(), message: z.string() });
export type Warning = z.infer<typeof warningSchema>;

/** What score finds out about an image. Boxes are [x, y, width, height] in pixels of the upright original. */
export const scoredSchema = z.strictObject({
  verdict: verdictSchema,
  anomalyScore: z.number(),
  threshold: z.number(),
  severity: z.number(),
  location: z.strictObject({ box, peak: z.tuple([z.number(), z.number()]) }),
  /** The bank row nearest to the most suspicious patch: where it came from and the spaced distance to it. */
  nearestNormal: z.strictObject({ trainingImage: z.string(), box, distance: z.number() }),
  /** Of the patch distances over the whole image: two of the readable features. */
  patchDistance: z.strictObject({ mean: z.number(), max: z.number() }),
  warnings: z.array(warningSchema),
  /** float16, base64; `backbone` is the sha256 of the network that made them. */
  vectors: z.strictObject({ embedding: z.string(), patch: z.string(), backbone: z.string() }),
  timings: z.record(z.string(), z.number()),
});
export type Scored = z.infer<typeof scoredSchema>;

/** What the finalizing job is given. */
export const scoredInspectionSchema = inspectionSchema.extend({ scored: scoredSchema });
export type ScoredInspection = z.infer<typeof scoredInspectionSchema>;

/** What an explaining job is given: the rest is in the work object. */
export const explainingSchema = inspectionSchema.extend(
  scoredSchema.pick({ verdict: true, anomalyScore: true, severity: true, patchDistance: true }).shape,
);
export type ExplainingData = z.infer<typeof explainingSchema>;

/** What the good/defect classifier says of the whole image: apart from the map, which is always drawn for the defect. */
export const classifierSchema = z.strictObject({
  label: z.string(),
  probability: z.number(),
  /** It told held-out good and defective images apart with an AUROC below 0.8: take its map with care. */
  weak: z.boolean(),
});

export type Classification = z.infer<typeof classifierSchema>;

/** The risk of a defect, and how much each readable feature adds to it: the base value and all `shap` sum to `probability`. */
export const riskSchema = z.strictObject({
  probability: z.number(),
  /** Mean risk of good images. */
  baseValue: z.number(),
  /** Whether probability >= 0.5 says the same as the verdict. */
  agreesWithVerdict: z.boolean(),
  /** `usual` is the median among good images. */
  features: z.array(
    z.strictObject({ name: z.enum(featureNames), value: z.number(), usual: z.number(), shap: z.number() }),
  ),
});
export type Risk = z.infer<typeof riskSchema>;

/** What the product's own model makes of process data: the base value and all `shap` sum to `value`. */
export const processAttributionSchema = z.strictObject({
  model: z.strictObject({ file: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  /** What the model was fitted to give, where its file or the configuration says so. */
  predicts: z.string().optional(),
  output: z.string(),
  /** Which of several values of the output. */
  target: z.number().int().min(0).optional(),
  scale: z.enum(['margin', 'probability', 'output']),
  value: z.number(),
  /** Mean over the background. */
  baseValue: z.number(),
  /** In the order of the model; a value that is missing is null. */
  features: z.array(z.strictObject({ name: z.string(), value: z.number().nullable(), shap: z.number() })),
});
export type ProcessAttribution = z.infer<typeof processAttributionSchema>;

export const statusSchema = z.enum(['done', 'incomplete', 'failed']);
export type Status = z.infer<typeof statusSchema>;

export const explanationSchema = z.strictObject({
  status: z.enum(['done', 'failed', 'skipped']),
  key: z.string().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});
export type Explanation = z.infer<typeof explanationSchema>;

export const explainingStages = ['gradcam', 'features', 'shap'] as const;
export type ExplainingStage = (typeof explainingStages)[number];

/** `process` is the attribution of process data, a part of the stage shap; only products with a model of their own have it. */
const explanationNames = [...explainingStages, 'process'] as const;
export type ExplanationName = (typeof explanationNames)[number];

const errorSchema = z.strictObject({ code: z.string(), message: z.string(), stage: z.enum(['score', 'finalize']) });

const resultHead = {
  schema: z.literal(1),
  inspectionId: inspectionSchema.shape.inspectionId,
  imageKey: inspectionSchema.shape.imageKey,
  camera: inspectionSchema.shape.camera,
  product: inspectionSchema.shape.product,
  bundle: inspectionSchema.shape.bundle,
  capturedAt: instant,
  finishedAt: instant,
  region: inspectionSchema.shape.region,
  process: inspectionSchema.shape.process,
};

/** A past inspection that is like this one. `review` is what a person said of it, null where nobody has. */
export const similarSchema = z.strictObject({
  inspectionId: inspectionSchema.shape.inspectionId,
  /** 0 for the same; docs/history.md says how it is measured. */
  distance: z.number(),
  verdict: verdictSchema,
  review: verdictSchema.nullable(),
});
export type Similar = z.infer<typeof similarSchema>;

/** result.json of an inspection that has a verdict. */
export const scoredResultSchema = z.strictObject({
  ...resultHead,
  status: z.enum(['done', 'incomplete']),
  ...scoredSchema.omit({ patchDistance: true }).shape,
  risk: riskSchema.optional(),
  classifier: classifierSchema.optional(),
  attribution: processAttributionSchema.optional(),
  /** The most similar first; absent where no history was there. */
  similar: z.array(similarSchema).optional(),
  explanations: z.partialRecord(z.enum(explanationNames), explanationSchema).optional(),
  artefacts: z.strictObject({ overlay: z.string(), anomalyMap: z.string(), gradcam: z.string().optional() }).optional(),
  /** Only where the inspection is incomplete: what a retry needs after Redis was lost. */
  policy: policySchema.optional(),
  priority: z.number().optional(),
});
export type ScoredResult = z.infer<typeof scoredResultSchema>;

/** result.json of an inspection without a verdict. */
export const failedResultSchema = z.strictObject({
  ...resultHead,
  status: z.literal('failed'),
  error: errorSchema,
  policy: policySchema,
  priority: z.number(),
});
export type FailedResult = z.infer<typeof failedResultSchema>;

export const resultSchema = z.discriminatedUnion('status', [scoredResultSchema, failedResultSchema]);
export type InspectionResult = ScoredResult | FailedResult;

/** One entry of the streams `verdicts` and `results`. Delivered at least once: readers dedupe by inspectionId. */
export const inspectionEventSchema = z.strictObject({
  inspectionId: resultHead.inspectionId,
  imageKey: resultHead.imageKey,
  camera: resultHead.camera,
  product: resultHead.product,
  bundle: resultHead.bundle,
  capturedAt: instant,
  /** null in a verdict event: its result is still to come. */
  status: statusSchema.nullable(),
  verdict: verdictSchema.nullable(),
  anomalyScore: z.number().nullable(),
  threshold: z.number().nullable(),
  severity: z.number().nullable(),
  error: errorSchema.nullable(),
});
export type InspectionEvent = z.infer<typeof inspectionEventSchema>;

/** Data and result of each stage's job. */
export const stages = {
  score: { data: inspectionSchema, result: z.strictObject({ verdict: verdictSchema }) },
  gradcam: { data: explainingSchema, result: z.strictObject({ key: z.string(), classifier: classifierSchema }) },
  /** Values in the order of `featureNames`. */
  features: {
    data: explainingSchema,
    result: z.strictObject({ values: z.array(z.number()).length(featureNames.length) }),
  },
  shap: {
    data: explainingSchema,
    result: z.strictObject({
      risk: riskSchema,
      /** How the attribution of process data ended, where the product has a model for it. */
      process: explanationSchema.optional(),
      attribution: processAttributionSchema.optional(),
    }),
  },
  finalize: { data: scoredInspectionSchema, result: z.strictObject({ status: z.enum(['done', 'incomplete']) }) },
} as const;
export type Stage = keyof typeof stages;
/** In the order of the work. */
export const stageNames = Object.keys(stages) as Stage[];
export type GradcamResult = z.infer<typeof stages.gradcam.result>;
export type FeaturesResult = z.infer<typeof stages.features.result>;
export type ShapResult = z.infer<typeof stages.shap.result>;

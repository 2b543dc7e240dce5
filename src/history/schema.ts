import { Field, FixedSizeList, Float32, Float64, Schema, TimestampMillisecond, Utf8 } from 'apache-arrow';
import type { InspectionResult, Risk, Verdict } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { decodeFloat16 } from '../shared/float16.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { featureChannels, patchVectorLength } from '../shared/networks.js';
import type { Review } from '../shared/reviews.js';

/** One row of history: what result.json and review.json say of an inspection. Without a verdict the numbers are null. */
export type HistoryRow = {
  inspectionId: string;
  imageKey: string;
  camera: string | null;
  product: string;
  bundle: string;
  capturedAt: Date;
  finishedAt: Date;
  /** Just before the result was read: what was written later is not in the row. */
  recordedAt: Date;
  status: InspectionResult['status'];
  /** Of a failed inspection. */
  errorCode: string | null;
  verdict: Verdict | null;
  anomalyScore: number | null;
  threshold: number | null;
  severity: number | null;
  /** Probability of a defect, of an explained image. */
  risk: number | null;
  /** (5), in the order of `featureNames` */
  features: (number | null)[] | null;
  /** (5) */
  shap: (number | null)[] | null;
  review: Verdict | null;
  /** sha256 of the network that made the vectors: those of two networks do not compare. */
  backbone: string | null;
  /** (1280) pooled features of the image */
  embedding: Float32Array | null;
  /** (328) the most suspicious patch, before projection */
  patch: Float32Array | null;
};

const text = (name: keyof HistoryRow, nullable = false) => new Field(name, new Utf8(), nullable);
const number = (name: keyof HistoryRow) => new Field(name, new Float64(), true);
const instant = (name: keyof HistoryRow) => new Field(name, new TimestampMillisecond(), false);
const list = (name: keyof HistoryRow, length: number, type: Float32 | Float64) =>
  new Field(name, new FixedSizeList(length, new Field('item', type, true)), true);

/** Makes merging exact between processes: without it two writers at once leave a row twice. */
const primaryKey = new Map([['lance-schema:unenforced-primary-key', 'true']]);

export const historySchema = new Schema([
  new Field('inspectionId', new Utf8(), false, primaryKey),
  text('imageKey'),
  text('camera', true),
  text('product'),
  text('bundle'),
  instant('capturedAt'),
  instant('finishedAt'),
  instant('recordedAt'),
  text('status'),
  text('errorCode', true),
  text('verdict', true),
  number('anomalyScore'),
  number('threshold'),
  number('severity'),
  number('risk'),
  list('features', featureNames.length, new Float64()),
  list('shap', featureNames.length, new Float64()),
  text('review', true),
  text('backbone', true),
  list('embedding', featureChannels, new Float32()),
  list('patch', patchVectorLength, new Float32()),
]);

/** @throws ARRAY_UNREADABLE, SHAPE_MISMATCH for a result whose vectors are not those of the networks. */
export function rowOf(result: InspectionResult, review: Review | undefined, recordedAt: Date): HistoryRow {
  const { inspectionId, imageKey, camera, product, bundle, status } = result;
  const scored = result.status === 'failed' ? undefined : result;
  const vectors = scored && vectorsOf(scored.vectors, inspectionId);
  return {
    ...{ inspectionId, imageKey, camera, product, bundle, status, recordedAt },
    capturedAt: new Date(result.capturedAt),
    finishedAt: new Date(result.finishedAt),
    errorCode: result.status === 'failed' ? result.error.code : null,
    verdict: scored?.verdict ?? null,
    anomalyScore: scored?.anomalyScore ?? null,
    threshold: scored?.threshold ?? null,
    severity: scored?.severity ?? null,
    risk: scored?.risk?.probability ?? null,
    features: scored?.risk ? byFeature(scored.risk, 'value') : null,
    shap: scored?.risk ? byFeature(scored.risk, 'shap') : null,
    review: review?.verdict ?? null,
    backbone: scored?.vectors.backbone ?? null,
    embedding: vectors?.embedding ?? null,
    patch: vectors?.patch ?? null,
  };
}

const byFeature = ({ features }: Risk, number: 'value' | 'shap') =>
  featureNames.map((name) => features.find((feature) => feature.name === name)?.[number] ?? null);

/** The vectors of a result. @throws ARRAY_UNREADABLE, SHAPE_MISMATCH */
export function vectorsOf(
  vectors: { embedding: string; patch: string },
  name: string,
): { embedding: Float32Array; patch: Float32Array } {
  const embedding = decodeFloat16(vectors.embedding);
  const patch = decodeFloat16(vectors.patch);
  if (embedding.length === featureChannels && patch.length === patchVectorLength) return { embedding, patch };
  throw new PatchlineError(
    'SHAPE_MISMATCH',
    `Expected ${featureChannels} and ${patchVectorLength} numbers for the vectors of ${name} but received ${embedding.length} and ${patch.length}`,
  );
}

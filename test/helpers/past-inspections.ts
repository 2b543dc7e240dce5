import type { InspectionResult, ScoredResult } from '../../src/shared/contracts.js';
import { encodeFloat16 } from '../../src/shared/float16.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { inspectionIdOf, resultKey } from '../../src/shared/keys.js';
import { featureChannels, patchVectorLength } from '../../src/shared/networks.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { scoredResult } from './scored-result.js';

export const backbone = 'a'.repeat(64);

/** Vectors of an image: random, the same for the same number. */
export function vectorsOf(seed: number, network = backbone): ScoredResult['vectors'] {
  const random = createRandom(seed);
  const vector = (length: number) => encodeFloat16(Float32Array.from({ length }, random.normal));
  return { embedding: vector(featureChannels), patch: vector(patchVectorLength), backbone: network };
}

/** The result of image `number`, anomalous unless said otherwise. */
export function pastResult(number: number, changes: Partial<ScoredResult> = {}): ScoredResult {
  const result = {
    ...scoredResult,
    imageKey: `images/line-1/2026-01-31/${number}.jpg`,
    vectors: vectorsOf(number),
    ...changes,
  };
  const { imageKey, product, bundle, capturedAt } = result;
  return { ...result, inspectionId: inspectionIdOf(imageKey, product, bundle, capturedAt) };
}

export async function putResults(store: ObjectStore, results: readonly InspectionResult[]): Promise<void> {
  for (const result of results) await putJson(store, resultKey(result.inspectionId), result);
}

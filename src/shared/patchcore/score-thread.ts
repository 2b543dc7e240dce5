import { performance } from 'node:perf_hooks';
import { Tensor } from 'onnxruntime-node';
import { inThread } from '../compute.js';
import type { Scored } from '../contracts.js';
import { encodeFloat16 } from '../float16.js';
import type { ImageFormat } from '../image-format.js';
import { createMapUpsampler, type MapUpsampler } from '../kernels/anomaly-map.js';
import { boxOfRegion } from '../kernels/connected-region.js';
import { maxScore } from '../kernels/image-score.js';
import type { Region } from '../kernels/region-mask.js';
import { severityOf } from '../kernels/severity.js';
import type { ScoringBundle } from '../loaded-bundle.js';
import { decodeInput, type InspectedPart, inspectedPart } from '../model-input.js';
import { patchVectorLength } from '../networks.js';
import { sessionOf } from '../onnx/session-cache.js';
import { imageScore, mapValues, type PatchValues, patchDistanceOf, select } from './image-score.js';
import { boxInOriginal, pixelInOriginal } from './location.js';
import { nearestRow } from './nearest-row.js';
import { patchStride, type Size } from './patch-vectors.js';

/** H, W: model input; h, w: the stride-16 grid; P = h·w patches; d dimensions. */
export interface ScoreInput {
  bytes: Uint8Array;
  bundle: ScoringBundle;
  /** Of the camera; without one the bundle's own holds. */
  region?: Region;
  maxImageBytes: number;
  maxLoadedBundles: number;
}

export interface ScoreOutput {
  measured: Omit<Scored, 'nearestNormal' | 'vectors' | 'warnings'>;
  /** float16, base64 */
  vectors: { embedding: string; patch: string };
  nearest: { row: number; distance: number };
  original: Size;
  format: ImageFormat;
  /** (H, W, 3) */
  pixels: Uint8Array;
  /** (1280, h32, w32) */
  features: Float32Array;
  featuresShape: number[];
  /** (H, W) */
  anomalyMap: Float32Array;
}

export default inThread<ScoreInput, ScoreOutput>(
  async ({ bytes, bundle, region, maxImageBytes, maxLoadedBundles }) => {
    const input = region ? { ...bundle.input, region } : bundle.input;
    const session = await sessionOf(bundle.model, maxLoadedBundles);
    const startedAt = performance.now();
    const { pixels, original, format } = await decodeInput(bytes, input, { maxImageBytes });
    const decodedAt = performance.now();
    const { height, width } = input;
    const part = inspectedPart(input);
    const results = await session.run({ pixels: new Tensor('uint8', pixels, [height, width, 3]) });
    const floats = (name: string) => results[name]!.data as Float32Array;
    const values: PatchValues = {
      distances: floats('distances'),
      projected: floats('projected'),
      ...(bundle.fusion && { residualDistances: floats('residualDistances') }),
    };
    const { anomalyMap, peakPatch, location } = locate(values.distances, bundle, original, part);
    const vectorOf = (values: Float32Array, length: number) =>
      values.subarray(peakPatch * length, (peakPatch + 1) * length);
    const nearest = nearestRow(vectorOf(values.projected, bundle.dims), bundle);
    const vectors = {
      embedding: encodeFloat16(floats('embedding')),
      patch: encodeFloat16(vectorOf(floats('raw'), patchVectorLength)),
    };
    const timings = { decodeMs: decodedAt - startedAt, scoreMs: performance.now() - decodedAt };
    return {
      measured: { ...judge(values, bundle, part), location, timings },
      vectors,
      nearest,
      original,
      format,
      pixels,
      features: floats('features'),
      featuresShape: results.features!.dims.slice(1),
      anomalyMap,
    };
  },
  ({ anomalyMap }) => [anomalyMap.buffer],
);

function judge(values: PatchValues, bundle: ScoringBundle, part: InspectedPart | undefined) {
  const { median, threshold } = bundle;
  const anomalyScore = imageScore(values, bundle, part?.patches);
  return {
    verdict: anomalyScore >= threshold ? ('anomalous' as const) : ('good' as const),
    anomalyScore,
    threshold,
    severity: severityOf(anomalyScore, median, threshold),
    patchDistance: patchDistanceOf(part ? select(values.distances, part.patches) : values.distances),
  };
}

/** The anomaly map, its peak and the region around the peak. */
function locate(distances: Float32Array, bundle: ScoringBundle, original: Size, part: InspectedPart | undefined) {
  const { input, grid, score, position, mapQuantile } = bundle;
  const anomalyMap = upsamplerFor(bundle)(mapValues(distances, score, position));
  if (part) calmOutside(anomalyMap, part.mask);
  const { score: largest, patch: peak } = maxScore(anomalyMap);
  const level = largest >= mapQuantile ? mapQuantile : largest / 2;
  const box = boxOfRegion(anomalyMap, input.height, input.width, level, peak);
  const [y, x] = [Math.floor(peak / input.width), peak % input.width];
  return {
    anomalyMap,
    peakPatch: Math.floor(y / patchStride) * grid.width + Math.floor(x / patchStride),
    location: { box: boxInOriginal(box, input, original), peak: pixelInOriginal([x, y], input, original) },
  };
}

/** Gives the map its lowest inspected value wherever nothing is inspected, in place. */
function calmOutside(anomalyMap: Float32Array, mask: Uint8Array): void {
  const lowest = anomalyMap.reduce(
    (least, value, i) => (mask[i] ? Math.min(least, value) : least),
    Number.POSITIVE_INFINITY,
  );
  for (let i = 0; i < mask.length; i++) if (!mask[i]) anomalyMap[i] = lowest;
}

const upsamplers = new Map<string, MapUpsampler>();

/** Built once for each size of input; products share a handful of sizes. */
function upsamplerFor({ input, grid, mapSigma }: ScoringBundle): MapUpsampler {
  const id = `${input.height} ${input.width} ${mapSigma}`;
  const upsampler =
    upsamplers.get(id) ?? createMapUpsampler(grid.height, grid.width, input.height, input.width, mapSigma);
  upsamplers.set(id, upsampler);
  return upsampler;
}

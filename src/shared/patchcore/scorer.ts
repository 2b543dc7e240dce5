import { type Bundle, trainingPictureKey } from '../bundle.js';
import { type Compute, threadTask } from '../compute.js';
import type { Scored, Warning } from '../contracts.js';
import type { Box } from '../kernels/connected-region.js';
import { smallestQuantile } from '../kernels/overlay.js';
import type { Region } from '../kernels/region-mask.js';
import { smallestSpread } from '../kernels/severity.js';
import type { LoadedBundle } from '../loaded-bundle.js';
import type { DrawInput, Drawing } from './draw-thread.js';
import type { PackInput } from './pack-thread.js';
import { patchStride } from './patch-vectors.js';
import type { ScoreInput, ScoreOutput } from './score-thread.js';

/** A scored image with what pictures and explanations are made from. H, W: model input. */
export interface ScoredImage {
  scored: Scored;
  height: number;
  width: number;
  /** (H, W, 3) RGB, before standardisation */
  pixels: Uint8Array;
  /** (1280, H/32, W/32) */
  features: Float32Array;
  featuresShape: number[];
  /** (H, W) */
  anomalyMap: Float32Array;
}

export interface Scorer {
  /**
   * Errors: IMAGE_TOO_LARGE, IMAGE_UNREADABLE, UNSUPPORTED_FORMAT.
   *
   * @param region the part of the image that is inspected, by default what the bundle was fitted with
   */
  score(imageBytes: Uint8Array, bundle: LoadedBundle, region?: Region): Promise<ScoredImage>;
  /** What the explaining stages read: `input` uint8 (H, W, 3) and `features` float32 (1280, H/32, W/32), as .npz. */
  pack(image: ScoredImage): Promise<Uint8Array>;
  /** The artefacts that score writes for an explained image. */
  draw(image: ScoredImage, bundle: LoadedBundle): Promise<Drawing>;
}

/** What of the configuration a scorer goes by. */
export interface ScorerConfig {
  /** Bytes of an image file. */
  limits: { maxImageBytes: number };
  /** Bundles whose sessions a thread keeps. */
  maxLoadedBundles: number;
}

const scoreTask = threadTask<ScoreInput, ScoreOutput>(new URL('./score-thread.js', import.meta.url));
const packTask = threadTask<PackInput, Uint8Array>(new URL('./pack-thread.js', import.meta.url));
const drawTask = threadTask<DrawInput, Drawing>(new URL('./draw-thread.js', import.meta.url));

export function createScorer(compute: Compute, { limits, maxLoadedBundles }: ScorerConfig): Scorer {
  const { maxImageBytes } = limits;
  return {
    async score(bytes, loaded, region) {
      const limits = { maxImageBytes, maxLoadedBundles };
      const output = await compute.run(scoreTask, { bytes, bundle: loaded.scoring, region, ...limits });
      const { pixels, features, featuresShape, anomalyMap } = output;
      const { height, width } = loaded.bundle.input;
      const scored = describe(output, loaded, region);
      return { scored, height, width, pixels, features, featuresShape, anomalyMap };
    },
    pack: ({ pixels, height, width, features, featuresShape }) =>
      compute.run(packTask, { pixels, height, width, features, featuresShape }),
    draw({ pixels, anomalyMap, height, width }, { bundle: { mapQuantile } }) {
      return compute.run(drawTask, { pixels, anomalyMap, height, width, mapQuantile });
    },
  };
}

function describe(output: ScoreOutput, loaded: LoadedBundle, region?: Region): Scored {
  const { bundle, sources } = loaded;
  const { row, distance } = output.nearest;
  const patches = bundle.grid.height * bundle.grid.width;
  const [image, patch] = [Math.floor(sources[row]! / patches), sources[row]! % patches];
  return {
    ...output.measured,
    nearestNormal: {
      trainingImage: trainingPictureKey(bundle, image),
      box: patchBox(patch, bundle.grid.width),
      distance,
    },
    warnings: [...warningsOf(output, loaded), ...regionWarnings(loaded.bundle, region)],
    vectors: { ...output.vectors, backbone: bundle.network.sha256 },
  };
}

/** In pixels of the model input, which are those of the training picture. */
function patchBox(patch: number, gridWidth: number): Box {
  const [row, column] = [Math.floor(patch / gridWidth), patch % gridWidth];
  return [column * patchStride, row * patchStride, patchStride, patchStride];
}

function regionWarnings({ input }: Bundle, region: Region | undefined): Warning[] {
  if (region === undefined || JSON.stringify(region) === JSON.stringify(input.region)) return [];
  const message =
    `The camera's region is not the one that the bundle was fitted with${input.region ? '' : ', which was none'}: along its ` +
    'outline good parts may look unusual. Fit the product anew with this configuration';
  return [{ code: 'REGION_NOT_FITTED', message }];
}

/** Relative difference in aspect up to which images count as alike. */
export const aspectTolerance = 0.05;

function warningsOf({ original, format }: ScoreOutput, { bundle }: LoadedBundle): Warning[] {
  const warnings: Warning[] = [];
  const aspect = original.width / original.height;
  if (bundle.aspect !== null && Math.abs(aspect / bundle.aspect - 1) > aspectTolerance) {
    warnings.push({
      code: 'IMAGE_ASPECT_MISMATCH',
      message: `The image is ${aspect.toFixed(2)} times as wide as high, the training images ${bundle.aspect.toFixed(2)} times: it was distorted`,
    });
  }
  if (!bundle.formats.includes(format)) {
    warnings.push({
      code: 'FORMAT_MISMATCH',
      message: `The image is a ${format} file, the training images are ${bundle.formats.join(' and ')}: the same scene decodes to slightly different pixels`,
    });
  }
  if (bundle.threshold - bundle.median < smallestSpread || bundle.mapQuantile < smallestQuantile) {
    warnings.push({
      code: 'TRAINING_IMAGES_ALIKE',
      message:
        'The training images are all alike, so that severity and overlay have no scale: fit with images as they vary in production',
    });
  }
  return warnings;
}

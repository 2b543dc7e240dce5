import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { type Compute, threadTask } from '../shared/compute.js';
import type { Warning } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { readSize } from '../shared/image.js';
import { riskLogOdds } from '../shared/kernels/risk-function.js';
import type { ClassifierHead, LoadedBundle } from '../shared/loaded-bundle.js';
import type { Scorer } from '../shared/patchcore/scorer.js';
import { type LabelledImage, labelledImages, readMask, someOf } from './labelled-images.js';
import { orderedMap } from './ordered-map.js';
import type { ReadableFeaturesInput } from './readable-features-thread.js';
import { isSkipped, type SkippedImage, skipUnreadable } from './readable-images.js';

export interface EvaluateOptions {
  /** MVTec layout: test/good, test/<defect> and, where there are masks, ground_truth/<defect>. */
  directory: string;
  bundle: LoadedBundle;
  scorer: Scorer;
  compute: Compute;
  progress?: (state: { phase: 'scoring' | 'features'; done: number; total: number }) => void;
}

/** A labelled image and what the bundle says of it. */
export interface JudgedImage {
  image: LabelledImage;
  score: number;
  severity: number;
  isFlagged: boolean;
  /** Of a defect, by the classifier and by the risk model. */
  classifierLogOdds: number;
  riskLogOdds: number;
  /** (H, W) */
  anomalyMap: Float32Array;
  /** (H, W); undefined where nobody knows the defect's pixels */
  mask?: Uint8Array;
}

export interface Judgements {
  images: JudgedImage[];
  /** Images that could not be read. */
  skipped: SkippedImage[];
  warnings: Warning[];
  /** For scoring alone. */
  seconds: number;
}

interface Judged {
  judged: Omit<JudgedImage, 'riskLogOdds'>;
  readable: ReadableFeaturesInput;
  warnings: Warning[];
}

/**
 * Scores every image of a labelled folder; the features that the risk needs are extracted afterwards, so that scoring alone is
 * timed. Error: DATASET_INVALID.
 */
export async function judgeImages(options: EvaluateOptions): Promise<Judgements> {
  const { directory, compute, progress } = options;
  const { images, warnings } = await labelledImages(directory);
  const startedAt = performance.now();
  const judged: Judged[] = [];
  const skipped: SkippedImage[] = [];
  let done = 0;
  for await (const result of orderedMap(images, imagesAtOnce(compute), (image) => judge(image, options))) {
    progress?.({ phase: 'scoring', done: ++done, total: images.length });
    if (isSkipped(result)) skipped.push(result);
    else judged.push(result);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  assertAnyReadable(judged.length, skipped);
  const risks = await judgeRisks(
    judged.map(({ readable }) => readable),
    options,
  );
  return {
    images: judged.map(({ judged }, index) => ({ ...judged, riskLogOdds: risks[index]! })),
    skipped,
    warnings: [...warnings, ...skippedWarning(skipped, images.length), ...warningsOf(judged)],
    seconds,
  };
}

/** Twice the threads keeps them busy. */
const imagesAtOnce = ({ threads }: Compute) => 2 * threads;

async function judge(image: LabelledImage, { bundle, scorer }: EvaluateOptions): Promise<Judged | SkippedImage> {
  const read = () => readFile(image.path);
  return await skipUnreadable({ name: image.name, read }, async () => {
    const bytes = await read();
    const { scored, anomalyMap, pixels, height, width, features } = await scorer.score(bytes, bundle);
    const { anomalyScore: score, severity, warnings } = scored;
    const { mean, max } = scored.patchDistance;
    const size = { height, width };
    const mask = image.maskPath ? await readMask(image.maskPath, size, await readSize(bytes)) : undefined;
    const isFlagged = scored.verdict === 'anomalous';
    const classifierLogOdds = defectLogOdds(features, bundle.classifier);
    return {
      judged: { image, score, severity, isFlagged, classifierLogOdds, anomalyMap, mask },
      readable: { meanPatchDistance: mean, maxPatchDistance: max, pixels, H: height, W: width },
      warnings,
    };
  });
}

/** @param features (1280, h, w), whose means are the embedding */
function defectLogOdds(features: Float32Array, { weights, bias }: ClassifierHead): number {
  const cells = features.length / weights.length;
  return features.reduce((sum, value, index) => sum + (weights[Math.floor(index / cells)]! * value) / cells, bias);
}

const featuresTask = threadTask<ReadableFeaturesInput, Float64Array>(
  new URL('./readable-features-thread.js', import.meta.url),
);

/** Log odds of a defect by the risk model. */
async function judgeRisks(readables: readonly ReadableFeaturesInput[], { bundle, compute, progress }: EvaluateOptions) {
  const risks: number[] = [];
  const extract = (readable: ReadableFeaturesInput) => compute.run(featuresTask, readable);
  for await (const row of orderedMap(readables, imagesAtOnce(compute), extract)) {
    risks.push(riskLogOdds(bundle.risk.model, row)[0]!);
    progress?.({ phase: 'features', done: risks.length, total: readables.length });
  }
  return risks;
}

function assertAnyReadable(readable: number, skipped: readonly SkippedImage[]): void {
  if (readable > 0) return;
  const { name, code, message } = skipped[0]!;
  throw new PatchlineError(
    'DATASET_INVALID',
    `Expected readable images but none of ${skipped.length} could be read, as ${name} (${code}: ${message})`,
    { details: { skipped } },
  );
}

function skippedWarning(skipped: readonly SkippedImage[], total: number): Warning[] {
  if (skipped.length === 0) return [];
  const names = skipped.map(({ name, code }) => `${name} (${code})`);
  return [
    { code: 'IMAGES_SKIPPED', message: `${skipped.length} of ${total} images could not be read: ${someOf(names)}` },
  ];
}

/** What scoring had to say, told once for all images that it holds for, and masks that mark nothing. */
function warningsOf(judged: readonly Judged[]): Warning[] {
  const firstOf = new Map<string, { message: string; names: string[] }>();
  const add = (code: string, message: string, name: string) => {
    const known = firstOf.get(code) ?? { message, names: [] };
    known.names.push(name);
    firstOf.set(code, known);
  };
  for (const {
    judged: { image, mask },
    warnings,
  } of judged) {
    for (const { code, message } of warnings) add(code, message, image.name);
    if (mask && !mask.includes(1))
      add('MASK_EMPTY', 'Its mask marks no pixel of the image as it is scored', image.name);
  }
  return [...firstOf].map(([code, { message, names }]) => ({
    code,
    message: `${message}. So it is for ${names.length} of ${judged.length} images: ${someOf(names)}`,
  }));
}

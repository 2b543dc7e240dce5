import { readFile } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { type Compute, threadTask } from '../shared/compute.js';
import { aupro } from '../shared/kernels/aupro.js';
import { auroc } from '../shared/kernels/auroc.js';
import { f1Max } from '../shared/kernels/f1-max.js';
import { logOdds } from '../shared/kernels/logistic-regression.js';
import type { ClassifierHead, LoadedBundle } from '../shared/loaded-bundle.js';
import type { Scorer } from '../shared/patchcore/scorer.js';
import { type LabelledImage, labelledImages, readMask } from './labelled-images.js';
import { orderedMap } from './ordered-map.js';
import type { ReadableFeaturesInput } from './readable-features-thread.js';
import { isSkipped, type SkippedImage, skipUnreadable } from './readable-images.js';

/** How well a bundle tells good images from bad ones. null where a figure cannot be had: one class only, or no masks. */
export interface Evaluation {
  product: string;
  bundle: string;
  images: number;
  imageAuroc: number | null;
  /** Over the pixels of good images and of those with a mask. */
  pixelAuroc: number | null;
  /** Per-region overlap up to a false positive rate of 0.3. */
  aupro: number | null;
  f1Max: number | null;
  /** Of the good/defect classifier and of the risk model, which learned from other defects than these. */
  classifierAuroc: number | null;
  riskAuroc: number | null;
  threshold: number;
  /** Shares of good images flagged and of defects not flagged, at the bundle's threshold. */
  falseAlarmRate: number | null;
  missRate: number | null;
  /** Scored. */
  imagesPerSecond: number;
  /** Each kind of defect against the good images. */
  perDefect: Record<string, { images: number; imageAuroc: number | null; missRate: number | null }>;
  /** Images that could not be read. */
  skipped: SkippedImage[];
}

export interface EvaluateOptions {
  /** MVTec layout: test/good, test/<defect> and, where there are masks, ground_truth/<defect>. */
  directory: string;
  bundle: LoadedBundle;
  scorer: Scorer;
  compute: Compute;
  progress?: (state: { phase: 'scoring' | 'features'; done: number; total: number }) => void;
}

interface Judged {
  image: LabelledImage;
  score: number;
  isFlagged: boolean;
  /** Of a defect, by the classifier. */
  logOdds: number;
  /** (H, W) */
  anomalyMap: Float32Array;
  /** (H, W); undefined where nobody knows the defect's pixels */
  mask?: Uint8Array;
}

/** Errors: DATASET_INVALID. */
export async function evaluateBundle(options: EvaluateOptions): Promise<Evaluation> {
  const { bundle } = options.bundle;
  const { judged, riskLogOdds, skipped, seconds } = await judgeAll(options);
  const good = judged.filter(({ image }) => image.defect === null);
  const bad = judged.filter(({ image }) => image.defect !== null);
  const defects = [...new Set(bad.map(({ image }) => image.defect!))];
  return {
    product: bundle.product,
    bundle: bundle.version,
    images: judged.length,
    imageAuroc: imageAuroc(judged),
    classifierAuroc: auroc(
      judged.map(({ logOdds }) => logOdds),
      labelsOf(judged),
    ),
    riskAuroc: auroc(riskLogOdds, labelsOf(judged)),
    ...pixelFigures(judged, bundle.input.height, bundle.input.width),
    f1Max:
      good.length && bad.length
        ? f1Max(
            judged.map(({ score }) => score),
            labelsOf(judged),
          )!.f1
        : null,
    threshold: bundle.threshold,
    falseAlarmRate: shareFlagged(good),
    missRate: missRate(bad),
    imagesPerSecond: judged.length / seconds,
    perDefect: Object.fromEntries(
      defects.map((defect) => {
        const ofKind = bad.filter(({ image }) => image.defect === defect);
        const figures = { imageAuroc: imageAuroc([...good, ...ofKind]), missRate: missRate(ofKind) };
        return [defect, { images: ofKind.length, ...figures }];
      }),
    ),
    skipped,
  };
}

/** Scores every image; the features that the risk needs are extracted afterwards, so that scoring alone is timed. */
async function judgeAll(options: EvaluateOptions) {
  const { directory, bundle, scorer, compute, progress } = options;
  const images = await labelledImages(directory);
  const startedAt = performance.now();
  const judge = async (image: LabelledImage) => {
    const read = () => readFile(image.path);
    const result = await skipUnreadable({ name: image.name, read }, async () => scorer.score(await read(), bundle));
    if (isSkipped(result)) return result;
    const { scored, anomalyMap, pixels, height, width } = result;
    const { mean, max } = scored.patchDistance;
    const mask = image.maskPath ? await readMask(image.maskPath, { height, width }) : undefined;
    const isFlagged = scored.verdict === 'anomalous';
    const logOdds = defectLogOdds(result.features, bundle.classifier);
    const judged: Judged = { image, score: scored.anomalyScore, isFlagged, logOdds, anomalyMap, mask };
    return { judged, readable: { meanPatchDistance: mean, maxPatchDistance: max, pixels, H: height, W: width } };
  };
  const judged: Judged[] = [];
  const readables: ReadableFeaturesInput[] = [];
  const skipped: SkippedImage[] = [];
  let done = 0;
  for await (const result of orderedMap(images, imagesAtOnce(compute), judge)) {
    progress?.({ phase: 'scoring', done: ++done, total: images.length });
    if (isSkipped(result)) {
      skipped.push(result);
      continue;
    }
    judged.push(result.judged);
    readables.push(result.readable);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  return { judged, riskLogOdds: await judgeRisks(readables, options), skipped, seconds };
}

/** Twice the threads keeps them busy. */
const imagesAtOnce = ({ threads }: Compute) => 2 * threads;

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
    risks.push(logOdds(bundle.risk.model, row)[0]!);
    progress?.({ phase: 'features', done: risks.length, total: readables.length });
  }
  return risks;
}

const labelsOf = (judged: Judged[]) => judged.map(({ image }) => Number(image.defect !== null));
const imageAuroc = (judged: Judged[]) =>
  auroc(
    judged.map(({ score }) => score),
    labelsOf(judged),
  );

function shareFlagged(judged: Judged[]): number | null {
  return judged.length > 0 ? judged.filter(({ isFlagged }) => isFlagged).length / judged.length : null;
}

function missRate(judged: Judged[]): number | null {
  const share = shareFlagged(judged);
  return share === null ? null : 1 - share;
}

function pixelFigures(judged: Judged[], H: number, W: number) {
  if (!judged.some(({ mask }) => mask)) return { pixelAuroc: null, aupro: null };
  const known = judged.filter(({ image, mask }) => image.defect === null || mask);
  const maps = new Float32Array(known.length * H * W);
  const masks = new Uint8Array(known.length * H * W);
  known.forEach(({ anomalyMap, mask }, index) => {
    maps.set(anomalyMap, index * H * W);
    if (mask) masks.set(mask, index * H * W);
  });
  return { pixelAuroc: auroc(maps, masks), aupro: aupro(maps, masks, H, W) };
}

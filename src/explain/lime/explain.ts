import { PatchlineError } from '../../shared/errors.js';
import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import type { ImageAxes } from '../image-axes.js';
import { picturesOf } from '../picture.js';
import { probabilitiesBy } from '../probabilities.js';
import { axesOf, type Question, sampleOf, stack } from '../question.js';
import { quickshift } from '../segmentation/quickshift.js';
import type { Segmentation } from '../segmentation/segmentation.js';
import { slic } from '../segmentation/slic.js';
import { fitLocalModels, type LocalModel } from './local-model.js';
import type { LimeOptions } from './options.js';
import { createSampleScorer } from './sampled-images.js';
import { binarySamples, hideAll } from './samples.js';

/** LIME for N images and T classes. */
export interface LimeExplanation {
  /** T times (N, H, W): at each pixel the coefficient of its segment. */
  maps: FloatTensor[];
  /** One for each image. */
  segmentations: Segmentation[];
  /** For each class, one for each image. */
  models: LocalModel[][];
}

/**
 * LIME for images: a linear model of what each segment adds to the probability of a class. All classes share the runs.
 *
 * @throws SHAPE_MISMATCH where the input is not images of 1 or 3 channels
 */
export async function explainByLime(question: Question, options: LimeOptions): Promise<LimeExplanation> {
  const { differentiator, x, run, targets, report } = question;
  const { network } = differentiator;
  const axes = imagesOnly(question);
  const { N, H, W } = axes;
  const pictures = picturesOf(question);
  const scoreSamples = createSampleScorer(network, axes, run);
  const toProbabilities = probabilitiesBy(network);
  const segmentations: Segmentation[] = [];
  const models: LocalModel[][] = targets.map(() => []);
  for (let n = 0; n < N; n++) {
    const segmentation = segment(pictures[n]!, H, W, options);
    const samples = binarySamples(options.samples, segmentation.count, options.seed);
    const image = sampleOf(x.data, n, N);
    const hidden = hiddenImage(question, image, segmentation, options);
    const scores = await scoreSamples({ image, hidden, segmentation }, samples, (done, total) =>
      report?.(n * total + done, N * total),
    );
    const probabilities = toProbabilities(scores);
    const predictions = targets.map((classes) =>
      Float64Array.from({ length: options.samples }, (_, i) => probabilities[i * network.classes + classes[n]!]!),
    );
    segmentations.push(segmentation);
    for (const [t, model] of fitLocalModels(samples, predictions, segmentation.count, options).entries()) {
      models[t]!.push(model);
    }
  }
  const maps = models.map((each) =>
    stack(
      each.map(({ coefficients }, n) => Float32Array.from(segmentations[n]!.labels, (label) => coefficients[label]!)),
      [H, W],
    ),
  );
  return { maps, segmentations, models };
}

function imagesOnly(question: Question): ImageAxes {
  const axes = axesOf(question);
  if (axes.C === 1 || axes.C === 3) return axes;
  throw new PatchlineError(
    'SHAPE_MISMATCH',
    `Expected images of 1 or 3 channels for lime, which cuts a picture into segments, but received ${axes.C} channels in ` +
      `[${question.x.dims.join(', ')}] (layout ${question.layout})`,
  );
}

/** The input with every segment hidden: of an image its pixels are, before they are prepared. */
function hiddenImage(
  question: Question,
  image: Float32Array,
  segmentation: Segmentation,
  { hide }: LimeOptions,
): Float32Array {
  const axes = axesOf(question);
  if (!question.picture) return hideAll(image, axes, segmentation, hide);
  const { pixels, prepare } = question.picture;
  const { H, W } = axes;
  return prepare(hideAll(pixels, { C: 3, H, W, channelStep: 1, positionStep: 3 }, segmentation, hide));
}

/** 50 segments are few enough for 1,000 samples to decide about each; quickshift as the LIME of its authors has it. */
const usual = { segments: 50, compactness: 10, sigma: 1, kernelSize: 4, maxDistance: 200, ratio: 0.2 };

function segment(pixels: Uint8Array, H: number, W: number, options: LimeOptions): Segmentation {
  const { segmentation, segments, compactness, kernelSize, maxDistance, ratio } = options;
  if (segmentation === 'slic') {
    return slic(pixels, H, W, {
      segments: segments ?? usual.segments,
      compactness: compactness ?? usual.compactness,
      sigma: usual.sigma,
    });
  }
  return quickshift(pixels, H, W, {
    kernelSize: kernelSize ?? usual.kernelSize,
    maxDistance: maxDistance ?? usual.maxDistance,
    ratio: ratio ?? usual.ratio,
  });
}

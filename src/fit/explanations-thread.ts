import { Tensor } from 'onnxruntime-node';
import { displayExplanation } from '../explain/display.js';
import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import { measureFaithfulness } from '../explain/faithfulness/faithfulness.js';
import { energyInMask, pointingGame } from '../explain/faithfulness/localisation.js';
import { imageAxes } from '../explain/image-axes.js';
import { requireMethod } from '../explain/methods.js';
import type { Question } from '../explain/question.js';
import type { Rows } from '../explain/rows.js';
import { inThread } from '../shared/compute.js';
import { createRandom } from '../shared/kernels/random.js';
import { resizeBilinear } from '../shared/kernels/resize.js';
import { severityOf } from '../shared/kernels/severity.js';
import type { ScoringBundle } from '../shared/loaded-bundle.js';
import { decodeInput, inspectedPart } from '../shared/model-input.js';
import { prepareImage } from '../shared/onnx/image-input.js';
import { type FloatTensor, type RunGraph, runGraphKeeping } from '../shared/onnx/run-graph.js';
import { sessionOf } from '../shared/onnx/session-cache.js';
import { imageScore } from '../shared/patchcore/image-score.js';
import { type BoundClassifier, bindClassifier } from './bound-classifier.js';
import {
  anomalyMapName,
  type DrawnMap,
  type ExplanationFigures,
  type ExplanationsTask,
  isDrawn,
  type JudgedExplanation,
  type JudgedExplanations,
} from './image-explanations.js';

// H, W: the bundle's input; h, w: the classifier's.

/** Graphs of scores, layers and gradients that the methods take turns with. */
const maxSessions = 6;

/** Explains one image by every method and measures each explanation. */
export default inThread<ExplanationsTask, JudgedExplanations>(async (task) => {
  const { bytes, scoring, classifier, mask, maxImageBytes } = task;
  const { height: H, width: W } = scoring.input;
  const { pixels } = await decodeInput(bytes, scoring.input, { maxImageBytes });
  const x = prepareImage(pixels, H, W, classifier.input);
  const run = runGraphKeeping(maxSessions);
  const bound = await boundFor(classifier, x, run);
  const explained: Explained = { task, pixels, x, run, bound };
  const methods: Record<string, JudgedExplanation> = {};
  for (const name of task.methods) methods[name] = await judge(name, await explain(name, explained), explained);
  const [probability] = await bound.probabilitiesOf({ count: 1, write: (_, target) => target.set(x.data) });
  const maskShare = mask ? mask.reduce((sum, inside) => sum + inside, 0) / mask.length : null;
  return { probability: probability!, maskShare, methods };
});

/** This thread's: of all images of an evaluation, which are of one shape. */
let last: { id: string; bound: BoundClassifier } | undefined;

async function boundFor(classifier: ExplainedClassifier, x: FloatTensor, run: RunGraph): Promise<BoundClassifier> {
  if (last?.id !== classifier.model.id) {
    last = { id: classifier.model.id, bound: await bindClassifier(classifier, x, run) };
  }
  return last.bound;
}

interface Explained {
  task: ExplanationsTask;
  /** (H, W, 3) */
  pixels: Uint8Array;
  /** As the classifier is fed. */
  x: FloatTensor;
  run: RunGraph;
  bound: BoundClassifier;
}

/** The map as it is shown, at the size of the classifier's input, (h, w). */
async function explain(name: string, { task, pixels, x, run, bound }: Explained): Promise<Float32Array> {
  const { classifier, anomalyMap, scoring, background, seed } = task;
  const { layout } = classifier.input;
  const axes = imageAxes(x.dims, layout);
  const { height: H, width: W } = scoring.input;
  if (isDrawn(name)) return drawMap(name, axes.H, axes.W, seed);
  if (name === anomalyMapName) return resized(anomalyMap, H, W, axes.H, axes.W);
  const { differentiator, target } = bound;
  const isSame = axes.H === H && axes.W === W;
  const prepare = (each: Uint8Array) => prepareImage(each, H, W, classifier.input).data;
  const question: Question = {
    ...{ differentiator, run, x, layout, background, targets: [[target]] },
    ...(isSame && { picture: { pixels, prepare } }),
  };
  const method = requireMethod(name);
  const isOfLayer = method.kind === 'map' && name !== 'cam';
  const explainQuestion = method.prepare({});
  const { maps } = await explainQuestion({ ...question, ...(isOfLayer && { layer: classifier.layer }) }, readNothing);
  return displayExplanation(method.kind, maps[0]!, axes).data;
}

/** Cells of the last layer of most networks lie so many pixels apart. */
const cellPixels = 32;

function drawMap(name: DrawnMap, h: number, w: number, seed: number): Float32Array {
  const random = createRandom(seed);
  const step = name === 'random-pixels' ? 1 : cellPixels;
  const [rows, columns] = [Math.ceil(h / step), Math.ceil(w / step)];
  const cells = Float32Array.from({ length: rows * columns }, () => random.uniform());
  return resized(cells, rows, columns, h, w);
}

const readNothing = (path: string) =>
  Promise.reject(new Error(`Expected no option that names a file but received ${path}`));

const resized = (map: Float32Array, H: number, W: number, h: number, w: number) =>
  H === h && W === w ? map : resizeBilinear(map, H, W, h, w);

async function judge(name: string, map: Float32Array, explained: Explained): Promise<JudgedExplanation> {
  const { task, x, bound } = explained;
  const { mask, scoring, statistics, seed, classifier, goodPixels } = task;
  const axes = imageAxes(x.dims, classifier.input.layout);
  const shown = resized(map, axes.H, axes.W, scoring.input.height, scoring.input.width);
  const { width: W } = scoring.input;
  const other = prepareImage(goodPixels, scoring.input.height, W, classifier.input).data;
  const input = { image: x.data, axes, map, seed, statistics, other, valuesOf: bound.probabilitiesOf };
  const { curves } = await measureFaithfulness(input, [
    'deletion',
    'insertion',
    'flipping',
    'roadHottest',
    'roadColdest',
  ]);
  const figures: ExplanationFigures = {
    energyInMask: mask ? energyInMask(shown, mask) : null,
    pointingGame: mask ? Number(pointingGame(shown, mask, W, nearPixels)) : null,
    deletion: curves.deletion.area,
    insertion: curves.insertion.area,
    flipping: curves.flipping.area,
    road: curves.roadColdest.area - curves.roadHottest.area,
    severityDeletion: name === anomalyMapName || isDrawn(name) ? await severityDeletion(shown, explained) : null,
  };
  return { map: shown, figures };
}

/** What still counts as pointing at a mask. */
const nearPixels = 15;

/** Deletion with the severity of the anomaly score; pixels of a good image alone do not look unusual by themselves. */
async function severityDeletion(map: Float32Array, { task, pixels }: Explained): Promise<number> {
  const { scoring, seed, goodPixels } = task;
  const { height: H, width: W } = scoring.input;
  const axes = imageAxes([1, H, W, 3], 'nhwc');
  const valuesOf = async ({ count, write }: Rows) => {
    const severities = new Float64Array(count);
    const image = new Float32Array(H * W * 3);
    for (let row = 0; row < count; row++) {
      write(row, image);
      severities[row] = await severity(Uint8Array.from(image), scoring);
    }
    return severities;
  };
  const image = Float32Array.from(pixels);
  const input = { image, axes, map, seed, other: Float32Array.from(goodPixels), valuesOf };
  return (await measureFaithfulness(input, ['deletion'])).curves.deletion.area;
}

async function severity(pixels: Uint8Array, scoring: ScoringBundle): Promise<number> {
  const { input, median, threshold, fusion } = scoring;
  const session = await sessionOf(scoring.model, maxSessions);
  const results = await session.run({ pixels: new Tensor('uint8', pixels, [input.height, input.width, 3]) });
  const floats = (name: string) => results[name]!.data as Float32Array;
  const values = {
    distances: floats('distances'),
    projected: floats('projected'),
    ...(fusion && { residualDistances: floats('residualDistances') }),
  };
  return severityOf(imageScore(values, scoring, inspectedPart(input)?.patches), median, threshold);
}

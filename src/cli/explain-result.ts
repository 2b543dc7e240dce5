import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Check } from '../explain/checks.js';
import { displayExplanation } from '../explain/display.js';
import type { MeasuredFaithfulness } from '../explain/faithfulness/explain.js';
import { imageAxes } from '../explain/image-axes.js';
import type { Explanation, Method } from '../explain/methods.js';
import type { Question } from '../explain/question.js';
import { PatchlineError } from '../shared/errors.js';
import { writeNpy } from '../shared/npy.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import { writePictures } from './explain-pictures.js';

/** What the command prints with --json. */
export interface ExplanationReport {
  method: string;
  /** Tensors of the model. */
  output: string;
  layer?: string;
  /** Of what was written. */
  shape: number[];
  explained: ExplainedClass[];
  checks?: Check[];
  faithfulness?: FaithfulnessFigures[];
  files: string[];
}

/** Areas under curves of the probability of the class. */
interface FaithfulnessFigures {
  sample: number;
  class: number;
  forwardPasses: number;
  /** Images that the noise of pixel flipping was drawn after: the background, else the explained image alone. */
  noiseImages: number;
  deletion: number;
  insertion: number;
  flipping: number;
  flippingAtRandom: number;
  /** What remains when the coldest pixels are imputed, less what remains when the hottest are. */
  road: number;
}

interface ExplainedClass {
  sample: number;
  class: number;
  score: number;
  completenessGap?: number;
  expectedValue?: number;
  /** Of LIME; one coefficient for each segment. */
  localModel?: { r2: number; prediction: number; intercept: number; coefficients: number[] };
}

export interface Explained {
  /** A .npy file, else a directory. */
  out: string;
  /** Whether the values before any display step are written. */
  raw: boolean;
  name: string;
  method: Method;
  question: Question;
  explanation: Explanation;
  /** (N, K) */
  scores: Float32Array;
  layer: string | undefined;
  checks?: Check[];
  /** For each class, one for each sample. */
  faithfulness?: MeasuredFaithfulness[][];
}

/** Writes the explanation where --out says. */
export async function writeExplanation(explained: Explained): Promise<ExplanationReport> {
  const { out, raw, question, explanation, method, scores, layer, checks, faithfulness } = explained;
  const { network } = question.differentiator;
  const { maps } = explanation;
  assertFinite(maps);
  const isFile = out.endsWith('.npy');
  const shown =
    isFile && raw
      ? []
      : maps.map((map) => displayExplanation(method.kind, map, imageAxes(question.x.dims, question.layout)));
  const { data, dims } = joinTargets(raw ? maps : shown);
  await mkdir(isFile ? dirname(out) : out, { recursive: true });
  const file = isFile ? out : join(out, 'explanation.npy');
  await writeFile(file, writeNpy({ dtype: 'float32', shape: [...dims], data }));
  const pictures = isFile ? [] : await writePictures(out, shown, explained);
  return {
    method: explained.name,
    output: network.output,
    ...(layer !== undefined && { layer }),
    shape: [...dims],
    explained: question.targets.flatMap((classes, t) =>
      classes.map((target, sample) => ({
        sample,
        class: target,
        score: scores[sample * network.classes + target]!,
        ...qualityOf(explanation, t, sample),
      })),
    ),
    ...(checks && { checks }),
    ...(faithfulness && { faithfulness: figuresOf(question, faithfulness) }),
    files: [file, ...pictures],
  };
}

/** What the method itself says about how good its explanation is. */
function qualityOf(
  { completenessGaps, expectedValues, lime }: Explanation,
  t: number,
  sample: number,
): Partial<ExplainedClass> {
  const expectedValue = expectedValues && { expectedValue: expectedValues[t]![sample]! };
  if (completenessGaps) return { ...expectedValue, completenessGap: completenessGaps[t]![sample]! };
  if (!lime) return {};
  const { coefficients, ...fit } = lime.models[t]![sample]!;
  return { localModel: { ...fit, coefficients: [...coefficients] } };
}

const figuresOf = ({ targets }: Question, faithfulness: readonly MeasuredFaithfulness[][]): FaithfulnessFigures[] =>
  targets.flatMap((classes, t) =>
    classes.map((target, sample) => {
      const measured = faithfulness[t]![sample]!;
      const { deletion, insertion, flipping, flippingAtRandom, roadColdest, roadHottest, forwardPasses, noiseImages } =
        measured;
      return {
        sample,
        class: target,
        forwardPasses,
        noiseImages,
        deletion: deletion.area,
        insertion: insertion.area,
        flipping: flipping.area,
        flippingAtRandom: flippingAtRandom.area,
        road: roadColdest.area - roadHottest.area,
      };
    }),
  );

function assertFinite(maps: readonly FloatTensor[]): void {
  for (const { data } of maps) {
    const index = data.findIndex((value) => !Number.isFinite(value));
    if (index < 0) continue;
    const message = `Expected finite values in the explanation but received ${data[index]}: the network cannot be differentiated at this input`;
    throw new PatchlineError('VALUES_NOT_FINITE', message);
  }
}

/** Several classes make a leading axis. */
function joinTargets(maps: readonly FloatTensor[]): FloatTensor {
  const [first] = maps as [FloatTensor];
  if (maps.length === 1) return first;
  const data = new Float32Array(maps.length * first.data.length);
  maps.forEach((map, index) => {
    data.set(map.data, index * first.data.length);
  });
  return { data, dims: [maps.length, ...first.dims] };
}

export function describeExplanation(report: ExplanationReport): string[] {
  const { method, output, layer, shape, explained, checks, faithfulness, files } = report;
  const number = (value: number) => String(Number(value.toPrecision(6)));
  const several = new Set(explained.map(({ sample }) => sample)).size > 1;
  const place = (sample: number) => (several ? ` of sample ${sample}` : '');
  return [
    `${method} of ${output}${layer === undefined ? '' : ` at ${layer}`}`,
    ...explained.map(
      ({ sample, class: target, score, expectedValue, completenessGap: gap, localModel }) =>
        `class ${target}${place(sample)}: score ${number(score)}` +
        `${expectedValue === undefined ? '' : `, of the background ${number(expectedValue)}`}${gap === undefined ? '' : `, completeness gap ${number(gap)}`}` +
        (localModel
          ? `, local R² ${number(localModel.r2)} of a model of ${localModel.coefficients.length} segments`
          : ''),
    ),
    ...(checks?.length === 0 ? [`check: ${method} promises nothing that could be checked`] : []),
    ...(checks ?? []).map(
      ({ promise, sample, class: target, expected, received }) =>
        `check of class ${target}${place(sample)}: ${promise}: ${number(received)} and ${number(expected)}`,
    ),
    ...(faithfulness ?? []).map(
      ({ sample, class: target, forwardPasses, noiseImages, deletion, insertion, flipping, flippingAtRandom, road }) =>
        `faithfulness for class ${target}${place(sample)}, by ${forwardPasses} forward passes: ` +
        `deletion ${number(deletion)} (lower is better), insertion ${number(insertion)} (higher is better), ` +
        `pixel flipping ${number(flipping)} against ${number(flippingAtRandom)} at random (lower is better${noiseImages > 1 ? `; noise after ${noiseImages} images` : ''}), ` +
        `ROAD ${number(road)} (higher is better)`,
    ),
    ...files.map((file, index) => `wrote ${file}${index === 0 ? ` [${shape.join(', ')}]` : ''}`),
  ];
}

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Check } from '../explain/checks.js';
import { displayExplanation } from '../explain/display.js';
import { imageAxes } from '../explain/image-axes.js';
import type { Explanation, Method } from '../explain/methods.js';
import type { Question } from '../explain/question.js';
import { PatchlineError } from '../shared/errors.js';
import { writeNpy } from '../shared/npy.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import type { ExplainOptions } from './explain.js';
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
  files: string[];
}

interface ExplainedClass {
  sample: number;
  class: number;
  score: number;
  completenessGap?: number;
  /** Of LIME; one coefficient for each segment. */
  localModel?: { r2: number; prediction: number; intercept: number; coefficients: number[] };
}

export interface Explained {
  options: ExplainOptions;
  name: string;
  method: Method;
  question: Question;
  explanation: Explanation;
  /** (N, K) */
  scores: Float32Array;
  layer: string | undefined;
  checks: Check[] | undefined;
}

/** Writes the explanation where --out says. */
export async function writeExplanation(explained: Explained): Promise<ExplanationReport> {
  const { options, question, explanation, method, scores, layer, checks } = explained;
  const { network } = question.differentiator;
  const { maps } = explanation;
  assertFinite(maps);
  const out = options.out!;
  const isFile = out.endsWith('.npy');
  const shown =
    isFile && options.raw
      ? []
      : maps.map((map) => displayExplanation(method.kind, map, imageAxes(question.x.dims, question.layout)));
  const { data, dims } = joinTargets(options.raw ? maps : shown);
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
    files: [file, ...pictures],
  };
}

/** What the method itself says about how good its explanation is. */
function qualityOf({ completenessGaps, lime }: Explanation, t: number, sample: number): Partial<ExplainedClass> {
  if (completenessGaps) return { completenessGap: completenessGaps[t]![sample]! };
  if (!lime) return {};
  const { coefficients, ...fit } = lime.models[t]![sample]!;
  return { localModel: { ...fit, coefficients: [...coefficients] } };
}

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

export function describeExplanation({ method, output, layer, shape, explained, checks, files }: ExplanationReport) {
  const number = (value: number) => String(Number(value.toPrecision(6)));
  const several = new Set(explained.map(({ sample }) => sample)).size > 1;
  const place = (sample: number) => (several ? ` of sample ${sample}` : '');
  return [
    `${method} of ${output}${layer === undefined ? '' : ` at ${layer}`}`,
    ...explained.map(
      ({ sample, class: target, score, completenessGap: gap, localModel }) =>
        `class ${target}${place(sample)}: score ${number(score)}${gap === undefined ? '' : `, completeness gap ${number(gap)}`}` +
        (localModel
          ? `, local R² ${number(localModel.r2)} of a model of ${localModel.coefficients.length} segments`
          : ''),
    ),
    ...(checks?.length === 0 ? [`check: ${method} promises nothing that could be checked`] : []),
    ...(checks ?? []).map(
      ({ promise, sample, class: target, expected, received }) =>
        `check of class ${target}${place(sample)}: ${promise}: ${number(received)} and ${number(expected)}`,
    ),
    ...files.map((file, index) => `wrote ${file}${index === 0 ? ` [${shape.join(', ')}]` : ''}`),
  ];
}

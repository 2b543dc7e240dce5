import { pMapIterable } from 'p-map';
import { type Compute, threadTask } from '../../shared/compute.js';
import { codeOf, PatchlineError } from '../../shared/errors.js';
import { writeModel } from '../../shared/onnx/model.js';
import { type SharedModel, shareModel } from '../../shared/onnx/session-cache.js';
import { type Attribution, assertAdditive, type Question } from './attribution.js';
import { maxExactFeatures } from './exact-model.js';
import { attributeLinear, findLinear } from './linear-attribution.js';
import { attributeModel } from './model-attribution.js';
import type { TabularModel } from './tabular-model.js';
import { attributeTrees, findTrees } from './tree-attribution.js';

export const attributionMethods = ['exact', 'tree', 'kernel', 'linear'] as const;
export type AttributionMethod = (typeof attributionMethods)[number];

export interface MethodAttribution extends Attribution {
  method: AttributionMethod;
  /** The largest gap between a prediction and the sum of its values. */
  additivityGap: number;
}

export interface AttributeOptions {
  /** One output of those explained; default: all. */
  target?: number;
  /** Called once where there are so many rows that threads are worth starting. */
  openCompute?: () => Compute;
}

/**
 * Shapley values of rows of a model. `auto` takes `tree` for trees, `linear` for linear models, else `exact` for up to 16
 * features and `kernel` above.
 *
 * @throws OP_NOT_SUPPORTED where the model is not of the method's kind, ARGUMENT_INVALID where something that it needs is
 *   missing, EXPLANATION_INCONSISTENT where values do not add up to the predictions
 */
export async function attribute(
  model: TabularModel,
  method: AttributionMethod | 'auto',
  question: Question,
  { target, openCompute }: AttributeOptions = {},
): Promise<MethodAttribution> {
  const chosen = chooseMethod(model, method, question);
  if (chosen.method !== 'tree' && question.nodeCover !== undefined) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      `Expected --node-cover for trees only but the method is ${chosen.method}`,
    );
  }
  const isMuch = question.rows.length / model.D > rowsOfTask[chosen.method];
  const all =
    openCompute && isMuch
      ? await attributeInThreads(openCompute(), model, chosen.method, question)
      : await chosen.explain();
  // Rounding: predictions of other models than trees come from onnxruntime as float32.
  const additivityGap = assertAdditive(all, chosen.method === 'tree' || chosen.method === 'linear' ? 1e-9 : 1e-5);
  return { method: chosen.method, additivityGap, ...(target === undefined ? all : pickOutput(all, target)) };
}

/** Rows that a thread explains in one go: fewer would cost more to hand over, or to prepare for, than to explain. */
const rowsOfTask: Record<AttributionMethod, number> = {
  tree: 1024,
  linear: Number.POSITIVE_INFINITY,
  exact: 64,
  kernel: 8,
};

export interface AttributionTask {
  model: SharedModel;
  axes: readonly number[];
  output: string;
  method: AttributionMethod;
  question: Omit<Question, 'onRows'>;
}

const attributionTask = threadTask<AttributionTask, Attribution>(new URL('./attribute-thread.js', import.meta.url));

async function attributeInThreads(
  compute: Compute,
  model: TabularModel,
  method: AttributionMethod,
  { onRows, ...question }: Question,
): Promise<Attribution> {
  const { D } = model;
  const n = question.rows.length / D;
  const shared = shareModel(writeModel(model.proto));
  const step = rowsOfTask[method];
  const starts = Array.from({ length: Math.ceil(n / step) }, (_, index) => index * step);
  const explain = (first: number) =>
    compute.run(attributionTask, {
      model: shared,
      axes: model.inputs.length === 1 ? model.inputs[0]!.axes : [D],
      output: model.output,
      method,
      question: { ...question, rows: question.rows.slice(first * D, (first + step) * D) },
    });
  const parts: Attribution[] = [];
  for await (const part of pMapIterable(starts, explain, { concurrency: 2 * compute.threads })) {
    onRows?.(part.predictions.length / part.K);
    parts.push(part);
  }
  const join = (read: (part: Attribution) => Float64Array) => {
    const joined = new Float64Array(parts.reduce((sum, part) => sum + read(part).length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(read(part), at);
      at += read(part).length;
    }
    return joined;
  };
  return { ...parts[0]!, values: join(({ values }) => values), predictions: join(({ predictions }) => predictions) };
}

/** Some of the rows, not held against their predictions yet. */
export const explainTask = (model: TabularModel, method: AttributionMethod, question: Question): Promise<Attribution> =>
  chooseMethod(model, method, question).explain();

interface ChosenMethod {
  method: AttributionMethod;
  explain(): Promise<Attribution>;
}

function chooseMethod(model: TabularModel, method: AttributionMethod | 'auto', question: Question): ChosenMethod {
  const tree = (): ChosenMethod => {
    const found = findTrees(model);
    return { method: 'tree', explain: () => attributeTrees(model, found, question) };
  };
  const linear = (): ChosenMethod => {
    const found = findLinear(model);
    return { method: 'linear', explain: () => attributeLinear(model, found, question) };
  };
  const any = (name: 'exact' | 'kernel'): ChosenMethod => ({
    method: name,
    explain: () => attributeModel(model, name, question),
  });
  if (method === 'tree') return tree();
  if (method === 'linear') return linear();
  if (method !== 'auto') return any(method);
  const suited = question.scale === 'probability' ? [tree] : [tree, linear];
  return firstSupported(suited) ?? any(model.D <= maxExactFeatures ? 'exact' : 'kernel');
}

/** The first that can work with the model. */
function firstSupported(candidates: (() => ChosenMethod)[]): ChosenMethod | undefined {
  for (const choose of candidates) {
    try {
      return choose();
    } catch (error) {
      if (codeOf(error) !== 'OP_NOT_SUPPORTED') throw error;
    }
  }
  return undefined;
}

/** @throws ARGUMENT_INVALID where there is no such output */
export function pickOutput({ scale, K, values, expected, predictions }: Attribution, target: number): Attribution {
  if (target >= K) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      `Expected an output from 0 to ${K - 1} for --target but received ${target}`,
    );
  }
  const pick = (numbers: Float64Array) => numbers.filter((_, i) => i % K === target);
  return { scale, K: 1, values: pick(values), expected: pick(expected), predictions: pick(predictions) };
}

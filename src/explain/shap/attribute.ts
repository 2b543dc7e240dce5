import { pMapIterable } from 'p-map';
import { type Compute, threadTask } from '../../shared/compute.js';
import { codeOf, PatchlineError } from '../../shared/errors.js';
import { writeModel } from '../../shared/onnx/model.js';
import { type SharedModel, shareModel } from '../../shared/onnx/session-cache.js';
import { type Attribution, assertAdditive, outputsOf, pickOutputs, type Question } from './attribution.js';
import { prepareDeep } from './deep-attribution.js';
import { maxExactFeatures } from './exact-model.js';
import { attributeLinear, findLinear } from './linear-attribution.js';
import { attributeModel } from './model-attribution.js';
import type { TabularModel } from './tabular-model.js';
import { attributeTrees, findTrees } from './tree-attribution.js';

export const attributionMethods = ['exact', 'tree', 'deep', 'kernel', 'linear'] as const;
export type AttributionMethod = (typeof attributionMethods)[number];

export interface MethodAttribution extends Attribution {
  method: AttributionMethod;
  /** Where `auto` chose it: why. */
  reason?: string;
  /** The largest gap between a prediction and the sum of its values. */
  additivityGap: number;
}

/**
 * Shapley values of rows of a model; those of `deep` are DeepLIFT's. `auto` takes `tree` for trees, `linear` for linear models,
 * `deep` for networks that it can pass differences through, else `exact` for up to 16 features and `kernel` above.
 *
 * @param openCompute called once where there are so many rows that threads are worth starting
 * @throws OP_NOT_SUPPORTED where the model is not of the method's kind, ARGUMENT_INVALID where something that it needs is
 *   missing, EXPLANATION_INCONSISTENT where values do not add up to the predictions
 */
export async function attribute(
  model: TabularModel,
  method: AttributionMethod | 'auto',
  question: Question,
  openCompute?: () => Compute,
): Promise<MethodAttribution> {
  const chosen = await chooseMethod(model, method, question);
  if (chosen.method !== 'tree' && question.nodeCover !== undefined) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      `Expected --node-cover for trees only but the method is ${chosen.method}`,
    );
  }
  const isMuch = question.rows.length / model.D > rowsOfTask[chosen.method];
  const attribution =
    openCompute && isMuch
      ? await attributeInThreads(openCompute(), model, chosen.method, question)
      : await chosen.explain();
  const additivityGap = assertAdditive(attribution, tolerances[chosen.method], chosen.hint);
  return {
    method: chosen.method,
    ...(method === 'auto' && { reason: reasonFor(chosen.method, model) }),
    additivityGap,
    ...attribution,
  };
}

/**
 * Rounding, as a part of the largest value: predictions of other models than trees come from onnxruntime as float32, and DeepLIFT
 * divides small float32 differences by one another at every layer.
 */
const tolerances: Record<AttributionMethod, number> = {
  tree: 1e-9,
  linear: 1e-9,
  exact: 1e-5,
  kernel: 1e-5,
  deep: 1e-3,
};

function reasonFor(method: AttributionMethod, { D }: TabularModel): string {
  const isExact = D <= maxExactFeatures ? '; exact gives Shapley values without its approximation' : '';
  const reasons: Record<AttributionMethod, string> = {
    tree: 'the model ends in trees',
    linear: 'the model is linear in its columns',
    deep: `every operator of the network has a DeepLIFT rule${isExact}`,
    exact: `another model, of up to ${maxExactFeatures} columns`,
    kernel: `another model, of more than ${maxExactFeatures} columns`,
  };
  return reasons[method];
}

/** Rows that a thread explains in one go: fewer would cost more to hand over, or to prepare for, than to explain. */
const rowsOfTask: Record<AttributionMethod, number> = {
  tree: 1024,
  linear: Number.POSITIVE_INFINITY,
  exact: 64,
  kernel: 8,
  deep: 64,
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
export async function explainTask(
  model: TabularModel,
  method: AttributionMethod,
  question: Question,
): Promise<Attribution> {
  const { explain } = await chooseMethod(model, method, question);
  return await explain();
}

interface ChosenMethod {
  method: AttributionMethod;
  explain(): Promise<Attribution>;
  /** What to say where values do not add up. */
  hint?: string;
}

type Candidate = () => ChosenMethod | Promise<ChosenMethod>;

async function chooseMethod(
  model: TabularModel,
  method: AttributionMethod | 'auto',
  question: Question,
): Promise<ChosenMethod> {
  const picked = async (explained: Promise<Attribution>) => pickTarget(await explained, question);
  const any = (name: 'exact' | 'kernel') => (): ChosenMethod => ({
    method: name,
    explain: () => picked(attributeModel(model, name, question)),
  });
  const candidates: Record<AttributionMethod, Candidate> = {
    tree: () => {
      const found = findTrees(model);
      return { method: 'tree', explain: () => picked(attributeTrees(model, found, question)) };
    },
    linear: () => {
      const found = findLinear(model);
      return { method: 'linear', explain: () => picked(attributeLinear(model, found, question)) };
    },
    deep: async () => {
      const { isCovered, ...deep } = await prepareDeep(model, question);
      if (isCovered || method === 'deep') return { method: 'deep', ...deep };
      throw new PatchlineError('OP_NOT_SUPPORTED', `Expected a network that DeepLIFT covers${deep.hint}`);
    },
    exact: any('exact'),
    kernel: any('kernel'),
  };
  if (method !== 'auto') return await candidates[method]();
  const suited = [
    candidates.tree,
    ...(question.scale === 'probability' ? [] : [candidates.linear]),
    ...(question.background === undefined ? [] : [candidates.deep]),
  ];
  return (await firstSupported(suited)) ?? candidates[model.D <= maxExactFeatures ? 'exact' : 'kernel']();
}

/** What says of a model that a method cannot work with it. */
const notSupported: readonly string[] = ['OP_NOT_SUPPORTED', 'GRADIENT_UNREACHABLE', 'MODEL_INPUT_MISMATCH'];

/** The first that can work with the model. */
async function firstSupported(candidates: readonly Candidate[]): Promise<ChosenMethod | undefined> {
  for (const choose of candidates) {
    try {
      return await choose();
    } catch (error) {
      if (!notSupported.includes(codeOf(error))) throw error;
    }
  }
  return undefined;
}

/** One output of an attribution. @throws ARGUMENT_INVALID where there is no such output */
export function pickTarget(
  { scale, K, values, expected, predictions }: Attribution,
  question: Pick<Question, 'target'>,
): Attribution {
  const outputs = outputsOf(question, K);
  const pick = (numbers: Float64Array) => pickOutputs(numbers, K, outputs);
  return { scale, K: outputs.length, values: pick(values), expected: pick(expected), predictions: pick(predictions) };
}

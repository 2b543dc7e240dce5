import { z } from 'zod';
import { PatchlineError } from '../shared/errors.js';
import { suggestionFor } from '../shared/nearest-name.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import { explainByDerivatives, explainByHead, explainByLayer, explainByMasks, requireHead } from './cam/explain.js';
import { gradCam } from './cam/grad-cam.js';
import { gradCamPlusPlus } from './cam/grad-cam-plus-plus.js';
import { gradCamPlusPlusWithEpsilon } from './cam/grad-cam-plus-plus-variants.js';
import { hiresCam } from './cam/hires-cam.js';
import { layerCam } from './cam/layer-cam.js';
import {
  type Check,
  checkAdditivity,
  checkCompleteness,
  checkGradient,
  checkLayerGradient,
  checkLocalModels,
  checkMeanOfMap,
  checkSmoothGrad,
  checkSum,
} from './checks.js';
import { blurredBaseline, meanBaseline } from './gradient/baselines.js';
import {
  explainByGradient,
  explainByIntegral,
  explainByNoise,
  explainByProduct,
  explainBySaliency,
} from './gradient/explain.js';
import type { IntegratedGradients } from './gradient/integrated-gradients.js';
import { requireLayer } from './layers.js';
import { explainByLime, type LimeExplanation } from './lime/explain.js';
import { limeOptions } from './lime/options.js';
import { axesOf, type Question } from './question.js';
import { explainByDeepShap } from './shap/explain.js';

export interface Explanation {
  /**
   * One for each of T classes. Of an `attribution` of the input's shape, of a `saliency` (N, H, W), of a `map` (N, h, w) at the
   * size of the layer, of `segments` (N, H, W), all before anything that is done for display.
   */
  maps: FloatTensor[];
  /** Of integrated gradients and deep SHAP: for each of T classes (N), sum of the attributions - difference of the scores. */
  completenessGaps?: Float64Array[];
  /** Of deep SHAP: for each of T classes (N), the mean score of the background. */
  expectedValues?: Float64Array[];
  /** Of LIME: the segments and what was fitted to them. */
  lime?: Omit<LimeExplanation, 'maps'> & { shown: number };
  /** What the method promises, as it turned out; undefined where it promises nothing that could be checked. */
  check?: (() => Promise<Check[]>) | undefined;
}

export interface Method {
  kind: 'attribution' | 'saliency' | 'map' | 'segments';
  /** The tensor that a `map` is made of. Throws ARGUMENT_INVALID, CLASSIFIER_NOT_SUPPORTED. */
  layerOf?: ((question: Question) => string) | undefined;
  /** Whether it compares the input with a background. */
  needsBackground?: boolean;
  /** How many classes its options ask for where none is named. Throws ARGUMENT_INVALID. */
  topLabels?: ((options: unknown) => number) | undefined;
  /**
   * Reads the method's options before anything is loaded.
   *
   * @throws ARGUMENT_INVALID
   */
  prepare(options: unknown): (question: Question, readArray: ReadArray) => Promise<Explanation>;
}

/** An array that an option names by its path. */
export type ReadArray = (path: string) => Promise<FloatTensor>;

function define<Options>(
  kind: Method['kind'],
  schema: z.ZodType<Options> & { shape: object },
  explain: (question: Question, options: Options, readArray: ReadArray) => Promise<Explanation>,
  layerOf = (question: Question) => requireLayer(question.differentiator.network, question.layer).name,
): Method {
  return {
    kind,
    ...(kind === 'map' && { layerOf }),
    prepare(given) {
      const options = readOptions(schema, given);
      return (question, readArray) => explain(question, options, readArray);
    },
  };
}

function readOptions<Options>(schema: z.ZodType<Options> & { shape: object }, given: unknown): Options {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  const faults = parsed.error.issues.map((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => `no option is called ${key}${suggestionFor(key, known)}`).join(', ')
      : `${issue.path.join('.') || 'the options'}: ${issue.message}`,
  );
  const expected = known.length > 0 ? `{${known.join(', ')}}` : '{}, because this method has no options,';
  throw new PatchlineError('ARGUMENT_INVALID', `Expected ${expected} for --options but ${faults.join('; ')}`);
}

const noOptions = z.strictObject({});

const integratedGradientsOptions = z.strictObject({
  steps: z.int().min(1).max(10_000).default(50),
  rule: z.enum(['trapezoid', 'gauss-legendre']).default('trapezoid'),
  baseline: z
    .string()
    .regex(/^(zero|mean|blurred|.*\.npy)$/, 'Expected zero, mean, blurred or the path of a .npy file')
    .default('zero'),
});

const smoothGradOptions = z.strictObject({
  samples: z.int().min(1).max(10_000).default(25),
  noise: z.number().positive().max(10).default(0.15),
  seed: z.int().min(0).default(0),
});

const gradCamPlusPlusOptions = z.strictObject({
  variant: z.enum(['closed', 'relu-gradient', 'signed-gradient', 'derivatives']).default('closed'),
});

const scoreCamOptions = z.strictObject({
  variant: z.enum(['logit-weights', 'softmax-weights']).default('logit-weights'),
});

const byLayer = (mapOf: Parameters<typeof explainByLayer>[1]): Method =>
  define('map', noOptions, async (question) => ({
    maps: await explainByLayer(question, mapOf),
    check: () => checkLayerGradient(question),
  }));

/** Every method of `patchline explain` by its name. */
export const methods: Readonly<Record<string, Method>> = {
  gradient: define('attribution', noOptions, async (question) => ({
    maps: await explainByGradient(question),
    check: () => checkGradient(question),
  })),
  saliency: define('saliency', noOptions, async (question) => ({
    maps: await explainBySaliency(question),
    check: () => checkGradient(question),
  })),
  'input-x-gradient': define('attribution', noOptions, async (question) => {
    const maps = await explainByProduct(question);
    return { maps, check: async () => [...(await checkSum(question, maps)), ...(await checkGradient(question))] };
  }),
  'guided-backprop': define('attribution', noOptions, async (question) => ({
    maps: await explainByGradient(question, 'guided'),
  })),
  'integrated-gradients': define('attribution', integratedGradientsOptions, async (question, options, readArray) => {
    const baseline = await baselineOf(question, options.baseline, readArray);
    const results: IntegratedGradients[] = await explainByIntegral(question, baseline, options);
    return {
      maps: results.map(({ attribution }) => ({ data: attribution, dims: question.x.dims })),
      completenessGaps: results.map((result) => result.completenessGaps),
      check: () => checkCompleteness(question, results),
    };
  }),
  smoothgrad: define('attribution', smoothGradOptions, async (question, options) => {
    const maps = await explainByNoise(question, options);
    return { maps, check: () => checkSmoothGrad(question, maps, options) };
  }),
  cam: define(
    'map',
    noOptions,
    async (question) => {
      const maps = await explainByHead(question);
      return { maps, check: () => checkMeanOfMap(question, maps) };
    },
    (question) => requireHead(question).layer,
  ),
  'grad-cam': byLayer((...layer) => gradCam(...layer).map),
  'grad-cam++': define('map', gradCamPlusPlusOptions, async (question, { variant }) => ({
    maps: await explainByGradCamPlusPlus(question, variant),
    check: () => checkLayerGradient(question),
  })),
  'hires-cam': byLayer(hiresCam),
  'layer-cam': byLayer(layerCam),
  'score-cam': define('map', scoreCamOptions, async (question, { variant }) => ({
    maps: await explainByMasks(question, variant),
  })),
  'deep-shap': {
    ...define('attribution', noOptions, async (question) => {
      const results = await explainByDeepShap(question);
      return {
        maps: results.map(({ map }) => map),
        completenessGaps: results.map(({ completenessGaps }) => completenessGaps),
        expectedValues: results.map(({ expected }) => expected),
        check: () => checkAdditivity(question, results),
      };
    }),
    needsBackground: true,
  },
  lime: {
    ...define('segments', limeOptions, async (question, options) => {
      const { maps, ...fitted } = await explainByLime(question, options);
      return {
        maps,
        lime: { ...fitted, shown: options.shown },
        check: () => checkLocalModels(question, fitted.models),
      };
    }),
    topLabels: (options) => readOptions(limeOptions, options).topLabels,
  },
};

type GradCamPlusPlusVariant = z.infer<typeof gradCamPlusPlusOptions>['variant'];

async function explainByGradCamPlusPlus(question: Question, variant: GradCamPlusPlusVariant): Promise<FloatTensor[]> {
  if (variant === 'derivatives') return await explainByDerivatives(question);
  if (variant === 'closed') return await explainByLayer(question, (...layer) => gradCamPlusPlus(...layer).map);
  return await explainByLayer(question, (...layer) => gradCamPlusPlusWithEpsilon(...layer, variant).map);
}

async function baselineOf(question: Question, baseline: string, readArray: ReadArray): Promise<Float32Array> {
  const { data, dims } = question.x;
  if (baseline === 'zero') return new Float32Array(data.length);
  if (baseline === 'mean') return meanBaseline(data, axesOf(question));
  if (baseline === 'blurred') return blurredBaseline(data, axesOf(question));
  const array = await readArray(baseline);
  if (array.dims.join() === dims.join()) return array.data;
  throw new PatchlineError(
    'SHAPE_MISMATCH',
    `Expected [${dims.join(', ')}], the shape of the input, for the baseline ${baseline} but received [${array.dims.join(', ')}]`,
  );
}

/** @throws ARGUMENT_INVALID */
export function requireMethod(name: string): Method {
  const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
  if (method) return method;
  const names = Object.keys(methods);
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected one of ${names.join(', ')} for --method but received ${name}${suggestionFor(name, names)}`,
  );
}

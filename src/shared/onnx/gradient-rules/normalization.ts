import { axisOf } from './axes.js';
import { addAxisProduct } from './axis-product.js';
import { sumToShape } from './broadcasting.js';
import { formulasOf } from './formulas.js';
import { addFloats, addReduction, addReshape } from './opset-forms.js';
import { multiplierOf, pairMeanOf } from './rescale.js';
import { floatAttribute, type GradientRules, intAttribute, type RuleContext, unsupported } from './rule.js';

/** Normalisations; dims of x are (N, C, ...spatial), of LayerNormalization any. Inputs are x, scale and bias. */
export const normalizationRules: GradientRules = {
  BatchNormalization: (context) => {
    const { node, outputGradients, dims } = context;
    const [x, scale, , mean, variance] = node.input as [string, string, string, string, string];
    if (intAttribute(context, 'training_mode') === 1) unsupported(context, 'training_mode 0', '1');
    const { add, sub, mul, neg, reciprocal, sqrt } = formulasOf(context);
    const rank = dims(x).length;
    const byChannel = (tensor: string) => addReshape(context, tensor, channelDims(dims(scale)[0]!, rank));
    const overChannel = (tensor: string) => addReduction(context, 'ReduceSum', tensor, axesWithout(1, rank), 0);
    const g = outputGradients[0]!;
    const r = reciprocal(sqrt(add(variance, floatAttribute(context, 'epsilon') ?? 1e-5)));
    const slope = mul(scale, r);
    const sums = overChannel(g);
    const moments = overChannel(mul(g, sub(x, byChannel(mean))));
    const byVariance = mul(mul(mul(moments, slope), mul(r, r)), -0.5);
    return [mul(g, byChannel(slope)), mul(moments, r), sums, neg(mul(sums, slope)), byVariance];
  },
  GroupNormalization: (context) => {
    const { node, dims } = context;
    const [x, scale, bias] = node.input as [string, string, string];
    const [batch, channels, ...spatial] = dims(x) as [number, number, ...number[]];
    const groups = intAttribute(context, 'num_groups')!;
    const split = [batch, groups, channels / groups, ...spatial];
    // One scale for each group before opset 21, for each channel since.
    const scaleDims = dims(scale)[0] === groups ? [groups, 1] : [groups, channels / groups];
    return normalize(context, split, split.map((_, axis) => axis).slice(2), {
      scale: [...scaleDims, ...spatial.map(() => 1)],
      parameters: [scale, bias],
    });
  },
  InstanceNormalization: (context) => {
    const { node, dims } = context;
    const [x, ...parameters] = node.input as [string, string, string];
    const size = dims(x);
    const axes = size.map((_, axis) => axis).slice(2);
    return normalize(context, size, axes, { scale: channelDims(size[1]!, size.length), parameters });
  },
  LayerNormalization: (context) => {
    const { node, outputGradients, dims } = context;
    const [x, ...parameters] = node.input as [string, string, string?];
    if (outputGradients[1] || outputGradients[2]) unsupported(context, 'only Y to lead on', 'Mean or InvStdDev');
    const size = dims(x);
    const first = axisOf(intAttribute(context, 'axis') ?? -1, size.length);
    const axes = size.map((_, axis) => axis).slice(first);
    return normalize(context, size, axes, { scale: dims(parameters[0]), parameters });
  },
  /** x / s^β with s = bias + α/size Σ x² over a window of channels. */
  LRN: (context) => {
    const { node, outputGradients, dims } = context;
    const x = node.input[0]!;
    const { add, mul, pow } = formulasOf(context);
    const size = intAttribute(context, 'size')!;
    const beta = floatAttribute(context, 'beta') ?? 0.75;
    const share = (floatAttribute(context, 'alpha') ?? 1e-4) / size;
    const windows = channelWindows(context, size);
    const s = add(mul(windows(mul(x, x), false), share), floatAttribute(context, 'bias') ?? 1);
    const power = pow(s, -beta);
    const slope = multiplierOf(context, mul(pow(s, -beta - 1), -beta), s, power, dims(x));
    const [g, meanX] = [outputGradients[0]!, pairMeanOf(context, x)];
    const bySum = windows(mul(mul(g, meanX), slope), true);
    return [add(mul(g, pairMeanOf(context, power, dims(x))), mul(mul(meanX, bySum), 2 * share))];
  },
};

interface Affine {
  /** Dims to which scale and bias are brought, to be broadcast to x. */
  scale: readonly number[];
  /** Scale and, where there is one, bias. */
  parameters: readonly (string | undefined)[];
}

/**
 * The gradients by x, scale and bias of scale · c r + bias with c = x - mean and r = 1 / √(mean(c²) + ε), means taken over `axes`.
 * Written as products and sums of which each keeps the completeness of DeepLIFT.
 *
 * @param split dims that x is brought to before
 */
function normalize(
  context: RuleContext,
  split: readonly number[],
  axes: readonly number[],
  affine: Affine,
): (string | undefined)[] {
  const { node, outputGradients, wanted, dims } = context;
  const { add, sub, mul, reciprocal, sqrt } = formulasOf(context);
  const shaped = (tensor: string, to: readonly number[], from: readonly number[]) =>
    from.join() === to.join() ? tensor : addReshape(context, tensor, to);
  const mean = (tensor: string) => addReduction(context, 'ReduceMean', tensor, axes, 1);
  const x = node.input[0]!;
  const [values, g] = [x, outputGradients[0]!].map((tensor) => shaped(tensor, split, dims(x))) as [string, string];
  const [scale, bias] = affine.parameters;

  const c = sub(values, mean(values));
  const v = add(mean(mul(c, c)), floatAttribute(context, 'epsilon') ?? 1e-5);
  const r = reciprocal(sqrt(v));
  const reduced = split.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const slope = multiplierOf(context, mul(mul(r, mul(r, r)), -0.5), v, r, reduced);
  const [meanC, meanR] = [pairMeanOf(context, c, split), pairMeanOf(context, r, reduced)];

  const byNormal = mul(g, shaped(scale!, affine.scale, dims(scale!)));
  const byVariance = mul(mean(mul(byNormal, meanC)), mul(slope, 2));
  const byC = add(mul(byNormal, meanR), mul(meanC, byVariance));
  const byParameter = (product: string, parameter: string | undefined) =>
    parameter && shaped(sumToShape(context, product, split, affine.scale), dims(parameter), affine.scale);
  return [
    shaped(sub(byC, mean(byC)), dims(x), split),
    wanted[1] ? byParameter(mul(g, mul(c, r)), scale) : undefined,
    wanted[2] ? byParameter(g, bias) : undefined,
  ];
}

const channelDims = (channels: number, rank: number): number[] =>
  Array.from({ length: rank - 1 }, (_, axis) => (axis === 0 ? channels : 1));

const axesWithout = (axis: number, rank: number): number[] =>
  Array.from({ length: rank }, (_, each) => each).filter((each) => each !== axis);

/** Sums over the windows of `size` channels around each channel, or transposed: over the windows that hold it. */
function channelWindows(context: RuleContext, size: number): (tensor: string, isTransposed: boolean) => string {
  const input = context.node.input[0]!;
  const dims = context.dims(input);
  const C = dims[1]!;
  const matrixOf = (isTransposed: boolean) => {
    const matrix = new Float32Array(C * C);
    for (let channel = 0; channel < C; channel++) {
      const first = Math.max(channel - Math.floor((size - 1) / 2), 0);
      const last = Math.min(channel + Math.ceil((size - 1) / 2), C - 1);
      for (let each = first; each <= last; each++) matrix[isTransposed ? each * C + channel : channel * C + each] = 1;
    }
    return addFloats(context, matrix, [C, C], input);
  };
  return (tensor, isTransposed) =>
    addAxisProduct(context, tensor, dims, 1, (isOther) => matrixOf(isTransposed !== isOther), C);
}

import { axisOf } from './axes.js';
import { addAxisProduct } from './axis-product.js';
import { addFloats, addReshape } from './opset-forms.js';
import {
  floatAttribute,
  type GradientRules,
  intAttribute,
  intsAttribute,
  type RuleContext,
  textAttribute,
  unsupported,
} from './rule.js';

/** Resizing is linear in the values and works axis by axis: y = A x along each, so that the gradient by x is Aᵀ g. */
export const resizeRules: GradientRules = {
  Resize: (context) => {
    const { node, outputGradients, dims } = context;
    const mode = textAttribute(context, 'coordinate_transformation_mode') ?? 'half_pixel';
    const policy = textAttribute(context, 'keep_aspect_ratio_policy') ?? 'stretch';
    if (mode === 'tf_crop_and_resize') unsupported(context, 'another coordinate_transformation_mode', mode);
    if (policy !== 'stretch') unsupported(context, 'keep_aspect_ratio_policy stretch', policy);
    const axes = resizedAxes(context);
    const gradient = outputGradients[0]!;
    if (repeatsInBlocks(context, axes, mode)) return [addBlockSums(context, gradient, axes)];
    let from = dims(node.output[0]!);
    let sums = gradient;
    for (const each of axes) {
      const matrix = (isTransposed: boolean) => addResizeMatrix(context, each, isTransposed);
      sums = addAxisProduct(context, sums, from, each.axis, matrix, each.input);
      from = from.with(each.axis, each.input);
    }
    return [sums];
  },
};

interface ResizedAxis {
  axis: number;
  input: number;
  output: number;
  /** Undefined where only the size of the output was given: then it is the ratio of the sizes. */
  scale?: number;
}

function resizedAxes(context: RuleContext): ResizedAxis[] {
  const { node, dims, values } = context;
  const [input, output] = [dims(node.input[0]!), dims(node.output[0]!)];
  const scales = values(node.input[2]);
  if (!scales && node.input[2]) unsupported(context, 'fixed scales', 'computed ones');
  const axes = intsAttribute(context, 'axes')?.map((axis) => axisOf(axis, input.length)) ?? [...input.keys()];
  return axes.flatMap((axis, index) => {
    const scale = scales?.length ? scales[index]! : undefined;
    const isResized = (scale ?? 1) !== 1 || input[axis] !== output[axis];
    return isResized ? [{ axis, input: input[axis]!, output: output[axis]!, scale }] : [];
  });
}

/**
 * The matrix Aᵀ (input, output) of an axis, or A: what the operator itself makes of the unit vectors, so that it is right for every
 * mode. It depends on constants only: onnxruntime computes it once, when it loads the graph.
 */
function addResizeMatrix(context: RuleContext, { input, output, scale }: ResizedAxis, isTransposed: boolean): string {
  const { node, graph } = context;
  const none = graph.constant(new Float32Array(0), [0]);
  const identity = Float32Array.from({ length: input * input }, (_, place) => (place % (input + 1) === 0 ? 1 : 0));
  const units = addFloats(context, identity, [1, 1, input, input], node.input[0]!);
  const axis = isTransposed ? 2 : 3;
  const dims = [1, 1, input, input].with(axis, output);
  const target =
    scale === undefined
      ? [none, graph.integers(...dims)]
      : [graph.constant(Float32Array.from([1, 1, 1, 1].with(axis, scale)), [4])];
  const resized = graph.add('Resize', [units, none, ...target], attributesOf(context));
  return addReshape(context, resized, dims.slice(2));
}

/** All that decides between which values the operator interpolates. */
function attributesOf(context: RuleContext) {
  const texts = ['mode', 'coordinate_transformation_mode', 'nearest_mode'].flatMap((name) => {
    const value = textAttribute(context, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const integers = ['exclude_outside', 'antialias'].flatMap((name) => {
    const value = intAttribute(context, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const coefficient = floatAttribute(context, 'cubic_coeff_a');
  return {
    ...Object.fromEntries(texts),
    ...Object.fromEntries(integers),
    ...(coefficient !== undefined && { cubic_coeff_a: { float: coefficient } }),
  };
}

/** Whether the operator only repeats each value a whole number of times along spatial axes, as decoders do. */
function repeatsInBlocks(context: RuleContext, axes: readonly ResizedAxis[], mode: string): boolean {
  if ((textAttribute(context, 'mode') ?? 'nearest') !== 'nearest' || axes.length === 0) return false;
  const nearest = textAttribute(context, 'nearest_mode') ?? 'round_prefer_floor';
  const isCentred = mode.includes('half_pixel') && nearest.startsWith('round');
  return (
    (isCentred || (mode === 'asymmetric' && nearest === 'floor')) &&
    axes.every(({ axis, input, output, scale }) => {
      const times = scale ?? output / input;
      return axis >= 2 && Number.isInteger(times) && times * input === output;
    })
  );
}

/** Sums of blocks, as averages times the size of a block: pooling is faster than two products with matrices. */
function addBlockSums(context: RuleContext, gradient: string, axes: readonly ResizedAxis[]): string {
  const { node, graph, dims, scalar } = context;
  const kernel = dims(node.input[0]!).slice(2).fill(1);
  for (const { axis, input, output } of axes) kernel[axis - 2] = output / input;
  const averages = graph.add('AveragePool', [gradient], { kernel_shape: kernel, strides: kernel });
  const size = kernel.reduce((product, each) => product * each, 1);
  return graph.add('Mul', [averages, scalar(size, node.input[0]!)]);
}

import { createRandom, type Random } from '../../src/shared/kernels/random.js';
import type { Attribute, GraphBuilder } from '../../src/shared/onnx/graph-builder.js';

// Random small networks of steps from a tensor (B, C, H, W) to another one of the same dims.
const [C, H, W] = [4, 6, 5];
export const randomNetworkDims = (batch: number): number[] => [batch, C, H, W];

interface Place {
  graph: GraphBuilder;
  random: Random;
  opset: number;
  /** The tensor before the one that is given. */
  other: string;
}
type Step = (x: string, place: Place) => string;

const pick = <T>(random: Random, choices: readonly T[]): T => choices[random.integer(choices.length)]!;

function constant({ graph, random }: Place, dims: number[], from = -0.6, to = 0.6): string {
  const count = dims.reduce((product, size) => product * size, 1);
  return graph.constant(
    Float32Array.from({ length: count }, () => from + random.uniform() * (to - from)),
    dims,
  );
}

/** Back to (H, W), by any kind of interpolation. */
function resized(x: string, { graph, random, opset }: Place): string {
  const modes = ['half_pixel', 'align_corners', 'pytorch_half_pixel', 'asymmetric'];
  const none = graph.constant(new Float32Array(0), [0]);
  const isPartial = opset >= 18;
  const batch = graph.add('Slice', [graph.add('Shape', [x]), graph.integers(0), graph.integers(2)]);
  const sizes = isPartial ? graph.integers(H, W) : graph.add('Concat', [batch, graph.integers(H, W)], { axis: 0 });
  return graph.add('Resize', [x, none, none, sizes], {
    mode: pick(random, ['nearest', 'linear', 'cubic']),
    coordinate_transformation_mode: pick(random, modes),
    nearest_mode: pick(random, ['floor', 'ceil', 'round_prefer_floor', 'round_prefer_ceil']),
    ...(isPartial && { axes: [2, 3] }),
  });
}

/** How a random window slides; its pads are smaller than it. */
function sliding(random: Random, hasDilations: boolean, mayOverhang: boolean): Record<string, Attribute> {
  const kernel = [1 + random.integer(3), 1 + random.integer(3)];
  const strides = kernel.map((size) => 1 + random.integer(size)); // onnxruntime takes no SAME padding below zero
  if (random.integer(3) === 0) {
    return { kernel_shape: kernel, strides, auto_pad: pick(random, ['SAME_UPPER', 'SAME_LOWER', 'VALID']) };
  }
  return {
    kernel_shape: kernel,
    strides,
    pads: [...kernel, ...kernel].map((size) => random.integer(size)),
    ...(hasDilations && { dilations: [1 + random.integer(2), 1 + random.integer(2)] }),
    ...(mayOverhang && { ceil_mode: random.integer(2) }),
  };
}

const pooled =
  (op: 'AveragePool' | 'MaxPool'): Step =>
  (x, place) => {
    const attributes = sliding(place.random, op === 'MaxPool' || place.opset >= 19, true);
    if (op === 'AveragePool') attributes.count_include_pad = place.random.integer(2);
    return resized(place.graph.add(op, [x], attributes), place);
  };
const normalized =
  (op: string, dims: number[], attributes: (random: Random) => Record<string, Attribute> = () => ({})): Step =>
  (x, place) =>
    place.graph.add(op, [x, constant(place, dims), constant(place, dims)], {
      epsilon: { float: 0.1 },
      ...attributes(place.random),
    });
const gated =
  (op: 'GlobalAveragePool' | 'GlobalMaxPool'): Step =>
  (x, place) => {
    const gate = place.graph.add('Conv', [place.graph.add(op, [x]), constant(place, [C, C, 1, 1])]);
    return place.graph.add('Mul', [x, place.graph.add('Sigmoid', [gate])]);
  };

const smoothSteps: Record<string, Step> = {
  add: (x, { graph, other }) => graph.add('Add', [x, other]),
  averagePool: pooled('AveragePool'),
  batchNormalization: (x, place) => {
    const moments = [constant(place, [C]), constant(place, [C], 0.5, 2)];
    return place.graph.add('BatchNormalization', [x, constant(place, [C]), constant(place, [C]), ...moments]);
  },
  conv: (x, place) => {
    const attributes = sliding(place.random, true, false);
    const group = pick(place.random, [1, 2, C]);
    const weights = constant(place, [C, C / group, ...(attributes.kernel_shape as number[])]);
    return resized(place.graph.add('Conv', [x, weights, constant(place, [C])], { ...attributes, group }), place);
  },
  convTranspose: (x, place) => {
    const { auto_pad, ...attributes } = sliding(place.random, true, false);
    const group = pick(place.random, [1, 2, C]);
    const weights = constant(place, [C, C / group, ...(attributes.kernel_shape as number[])]);
    const output_padding = (attributes.strides as number[]).map((stride) => place.random.integer(stride));
    const padding: Record<string, Attribute> = auto_pad ? { auto_pad } : { output_padding };
    return resized(place.graph.add('ConvTranspose', [x, weights], { ...attributes, ...padding, group }), place);
  },
  depth: (x, place) => {
    const double = constant(place, [2 * C, C, 1, 1]);
    const even = place.graph.add('Slice', [
      x,
      place.graph.integers(0),
      place.graph.integers(4),
      place.graph.integers(3),
    ]);
    const deep = place.graph.add('SpaceToDepth', [even], { blocksize: 2 });
    const mixed = place.graph.add('Conv', [deep, constant(place, [4 * C, 4 * C, 1, 1])]);
    const mode = pick(place.random, ['DCR', 'CRD']);
    const flat = place.graph.add('DepthToSpace', [mixed], { blocksize: 2, mode });
    const doubled = place.graph.add('DepthToSpace', [place.graph.add('Conv', [flat, double])], { blocksize: 2, mode });
    const back = place.graph.add('Conv', [doubled, constant(place, [C, C / 2, 1, 1])]);
    return resized(back, place);
  },
  instanceNormalization: normalized('InstanceNormalization', [C]),
  lrn: (x, { graph, random }) => graph.add('LRN', [x], { size: pick(random, [1, 3, 5]), alpha: { float: 0.5 } }),
  sigmoid: (x, { graph }) => graph.add('Mul', [x, graph.add('Sigmoid', [x])]),
  squeeze: gated('GlobalAveragePool'),
  tanh: (x, { graph }) => graph.add('Tanh', [x]),
};
const newSteps: Record<string, { since: number; step: Step }> = {
  groupNormalization: { since: 21, step: normalized('GroupNormalization', [C], () => ({ num_groups: 2 })) },
  layerNormalization: { since: 17, step: normalized('LayerNormalization', [W], () => ({ axis: -1 })) },
};
const kinkedSteps: Record<string, Step> = {
  clip: (x, { graph }) => graph.add('Clip', [x, graph.scalar(-0.3), graph.scalar(0.4)]),
  globalMaxPool: gated('GlobalMaxPool'),
  maxPool: pooled('MaxPool'),
  relu: (x, { graph }) => graph.add('Relu', [x]),
};

export interface RandomNetwork {
  names: string[];
  opset: number;
  compose(graph: GraphBuilder, inputs: string[]): string;
}

/** @param hasKinks whether it may hold steps that a finite difference could reach over a kink of */
export function randomNetwork(seed: number, { hasKinks = false } = {}): RandomNetwork {
  const random = createRandom(seed);
  const opset = pick(random, [11, 13, 15, 16, 17, 18, 21]);
  const steps: Record<string, Step> = { ...smoothSteps, ...(hasKinks && kinkedSteps) };
  for (const [name, { since, step }] of Object.entries(newSteps)) if (opset >= since) steps[name] = step;
  const names = Array.from({ length: 4 }, () => pick(random, Object.keys(steps)));
  return {
    names,
    opset,
    compose(graph, [input]) {
      const choices = createRandom(seed + 1);
      let [other, x] = [input!, input!];
      for (const name of names) [other, x] = [x, steps[name]!(x, { graph, random: choices, opset, other })];
      return x;
    },
  };
}

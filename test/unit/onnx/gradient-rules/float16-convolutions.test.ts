import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createRandom } from '../../../../src/shared/kernels/random.js';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { elementTypes } from '../../../../src/shared/onnx/model.js';
import { expectClose } from '../../../helpers/arrays.js';
import { differentiate } from '../../../helpers/gradient-check.js';

const dims = [1, 4, 6, 6];

/** The gradient of a network whose tensors are all of one type, at the same random place. */
async function gradientIn(type: 'float16' | 'float32'): Promise<Float32Array> {
  const random = createRandom(3);
  const values = (count: number) => Float32Array.from({ length: count }, () => random.uniform() - 0.5);
  const graph = createGraphBuilder();
  const cast = (tensor: string, to: number = elementTypes[type]) => graph.add('Cast', [tensor], { to });
  const constant = (...size: number[]) =>
    cast(graph.constant(values(size.reduce((product, each) => product * each, 1)), size));
  const none = graph.constant(new Float32Array(0), [0]);
  let x = cast(graph.input('x', 'float32', dims));
  x = graph.add('Conv', [x, constant(4, 4, 3, 3), constant(4)], { pads: [1, 1, 1, 1] });
  x = graph.add('Conv', [x, constant(4, 1, 3, 3)], { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] });
  x = graph.add('Resize', [x, none, graph.constant(Float32Array.of(1, 1, 2, 2), [4])], { mode: 'linear' });
  x = graph.add('Clip', [x, cast(graph.scalar(-0.5)), cast(graph.scalar(0.5))]);
  x = graph.add('MaxPool', [x], { kernel_shape: [3, 3], strides: [1, 1] });
  x = graph.add('InstanceNormalization', [x, constant(4), constant(4)]);
  x = graph.add('AveragePool', [x], { kernel_shape: [2, 2], pads: [1, 0, 0, 1] });
  x = graph.add('GlobalAveragePool', [graph.add('Mul', [x, x])]);
  graph.output('result', cast(x, elementTypes.float32));
  const feeds = { x: new Tensor('float32', values(144), dims) };
  const seed = { weights: Float32Array.of(1, -1, 0.5, 2), dims: [1, 4, 1, 1] };
  const [gradient] = await differentiate(graph.build(), ['x'], feeds, seed);
  return gradient!;
}

test('a network of half precision has the gradient of the same in single precision', async () => {
  const [half, single] = [await gradientIn('float16'), await gradientIn('float32')];
  expect(Math.max(...single.map(Math.abs))).toBeGreaterThan(0.05);
  expectClose(half, single, { atol: 5e-3 });
});

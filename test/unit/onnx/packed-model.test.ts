import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { readModel, writeModel } from '../../../src/shared/onnx/model.js';
import { packModel, unpackModel } from '../../../src/shared/onnx/packed-model.js';
import { float32 } from '../../helpers/arrays.js';

test('a model is the same after it was packed, and its large weights are not copied', () => {
  const graph = createGraphBuilder();
  const large = [0, 1].map((shift) =>
    graph.constant(
      float32(2048, (i) => i + shift),
      [2048],
    ),
  );
  const sum = graph.add('Add', [graph.input('x', 'float32', [2048]), large[0]!]);
  graph.output('y', graph.add('Mul', [graph.add('Mul', [sum, large[1]!]), graph.scalar(3)]));
  const model = readModel(writeModel(graph.build()));
  const packed = packModel(model);
  expect([packed.weights.length, packed.bytes.length < 2000]).toEqual([2, true]);
  const unpacked = unpackModel(packed);
  expect(writeModel(unpacked)).toEqual(writeModel(model));
  const datas = unpacked.graph.initializer.map(({ rawData }) => rawData);
  expect(packed.weights.every(({ data }) => datas.includes(data))).toBe(true);
});

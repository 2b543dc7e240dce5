import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../../src/shared/onnx/model.js';
import { packModel } from '../../../src/shared/onnx/packed-model.js';
import { sessionOf, shareModel } from '../../../src/shared/onnx/session-cache.js';

function model(op: string) {
  const graph = createGraphBuilder();
  graph.output('y', graph.add(op, [graph.input('x', 'float32', [1])]));
  return graph.build();
}

test('a model is loaded once, by all who ask at the same time, until others need the room', async () => {
  const [negative, positive] = [packModel(model('Neg')), packModel(model('Abs'))];
  const [first, again] = await Promise.all([sessionOf(negative, 2), sessionOf(negative, 2)]);
  expect(again).toBe(first);
  await sessionOf(positive, 2);
  expect(await sessionOf(negative, 2)).toBe(first);
  await sessionOf(shareModel(writeModel(model('Relu'))), 2); // the least recently used is the other one
  expect(await sessionOf(negative, 2)).toBe(first);
  await sessionOf(positive, 1);
  expect(await sessionOf(negative, 1)).not.toBe(first);
});

test('a load that failed can be tried again', async () => {
  const broken = { ...packModel(model('Neg')), bytes: Uint8Array.of(1, 2, 3) };
  await expect(sessionOf(broken, 2)).rejects.toThrow();
  await expect(sessionOf({ ...broken, bytes: packModel(model('Neg')).bytes }, 2)).resolves.toBeDefined();
});

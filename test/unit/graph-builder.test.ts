import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { readNetwork } from '../../src/shared/networks.js';
import { createGraphBuilder, tensorOf } from '../../src/shared/onnx/graph-builder.js';
import { elementTypes, readModel, writeModel } from '../../src/shared/onnx/model.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { expectClose } from '../helpers/arrays.js';

test('a network is written as it was read', async () => {
  const bytes = await readNetwork('int8');
  const written = writeModel(readModel(bytes));
  expect(Buffer.compare(written, bytes)).toBe(0);
});

test('values and attributes of a model are read as numbers and bytes', async () => {
  const { irVersion, opsetImport, graph } = readModel(await readNetwork('float'));
  expect([irVersion, opsetImport[0]!.version]).toEqual([8, 17]);
  const stem = graph.node.find(({ opType }) => opType === 'Conv')!;
  expect(stem.attribute.find(({ name }) => name === 'strides')!.ints).toEqual([2, 2]);
  const weights = graph.initializer.find(({ name }) => name === stem.input[1])!;
  expect(weights).toMatchObject({ dims: [32, 3, 3, 3], dataType: elementTypes.float32 });
  expect(weights.rawData).toHaveLength(4 * 32 * 27);
});

test.each([
  ['text', new TextEncoder().encode('not a model at all')],
  ['nothing', new Uint8Array()],
])('%s is no model: MODEL_DAMAGED that names it', (_, bytes) => {
  const error = expect.objectContaining({ code: 'MODEL_DAMAGED', message: expect.stringContaining('m.onnx') });
  expect(() => readModel(bytes, 'm.onnx')).toThrowError(error);
});

test('a composed graph runs: every kind of attribute, constants of several types, several outputs', async () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [2, 3]);
  const scaled = graph.add('Gemm', [x, graph.constant(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3])], {
    alpha: { float: 0.5 },
    transB: 1,
  });
  const [values, places] = graph.addMulti('TopK', [scaled, graph.integers(1)], { axis: 1 }, 2);
  const offset = graph.add('Constant', [], { value: { tensor: tensorOf(Float32Array.of(10), [1]) } });
  graph.output('largest', graph.add('Add', [values!, offset]));
  graph.output('places', places, 'int64');
  graph.output('flat', graph.add('Transpose', [x], { perm: [1, 0] }));
  const session = await createSession(writeModel(graph.build()));
  const feed = new Tensor('float32', Float32Array.of(1, 0, 2, -1, 1, 0), [2, 3]);
  const { largest, places: found, flat } = await session.run({ x: feed });
  expectClose(largest!.data as Float32Array, [18, 10.5]);
  expect([...(found!.data as BigInt64Array)]).toEqual([1n, 0n]);
  expectClose(flat!.data as Float32Array, [1, -1, 0, 1, 2, 0]);
});

test('only what the outputs depend on is built', () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [1]);
  graph.add('Mul', [x, graph.scalar(2)], {}, 'unused');
  graph.output('y', graph.add('Add', [x, graph.scalar(1)]));
  const { node, initializer } = graph.build().graph;
  expect(node.map(({ opType }) => opType)).toEqual(['Add', 'Identity']);
  expect(initializer).toHaveLength(1);
});

test('a tensor that only the branch of an If reads is kept', () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [1]);
  const doubled = graph.add('Mul', [x, graph.scalar(2)], {}, 'doubled');
  const { graph: built } = graph.build();
  const branch = {
    node: [{ opType: 'Neg', input: [doubled], output: ['out'], attribute: [] }],
    initializer: [],
    input: [],
  };
  const choose = {
    opType: 'If',
    input: ['condition'],
    output: ['chosen'],
    attribute: [{ name: 'then_branch', type: 5, g: { ...branch, output: [{ name: 'out' }] } }],
  };
  expect(built.node).toHaveLength(0);
  const whole = createGraphBuilder();
  const node = [{ opType: 'Mul', input: ['x', 'x'], output: ['doubled'], attribute: [] }, choose];
  whole.include(
    { node, initializer: [], input: [{ name: 'x' }], output: [] },
    { x: whole.input('image', 'float32', [1]) },
  );
  whole.output('chosen');
  expect(whole.build().graph.node.map(({ opType }) => opType)).toEqual(['Mul', 'If']);
});

test('an included graph is tied to the tensors that stand for its inputs', async () => {
  const inner = createGraphBuilder();
  inner.input('image', 'float32', [2]);
  inner.output('doubled', inner.add('Mul', ['image', inner.constant(Float32Array.of(2), [1], 'two')]));
  const { graph: included } = inner.build();

  const outer = createGraphBuilder();
  const shifted = outer.add('Add', [outer.input('x', 'float32', [2]), outer.scalar(1)]);
  expect(() => outer.include(included, {})).toThrow(/"image"/);
  outer.include(included, { image: shifted });
  outer.output('doubled');
  const session = await createSession(writeModel(outer.build()));
  const { doubled } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2]) });
  expectClose(doubled!.data as Float32Array, [4, 6]);
  expect(() => outer.include(included, { image: shifted })).toThrow(/taken/);
});

test('a name is given once and dims must fit the values', () => {
  const graph = createGraphBuilder();
  graph.input('x', 'float32', [1]);
  expect(() => graph.input('x', 'float32', [1])).toThrow(/"x" is taken/);
  expect(() => graph.constant(Float32Array.of(1, 2, 3), [2, 2])).toThrow(/Expected 4 values/);
});

test('an input with fixed dims takes no others', async () => {
  const graph = createGraphBuilder();
  graph.output('y', graph.add('Relu', [graph.input('x', 'float32', ['batch', 2])]));
  const fixed = createGraphBuilder({ base: graph.build() });
  fixed.fixDims('x', [3, 2]);
  fixed.output('y');
  const session = await createSession(writeModel(fixed.build()));
  const run = (rows: number) => session.run({ x: new Tensor('float32', new Float32Array(2 * rows), [rows, 2]) });
  expect((await run(3)).y!.dims).toEqual([3, 2]);
  await expect(run(4)).rejects.toThrow('invalid dimensions');
  await session.release();
});

test('a model says in its file what it was told, and goes on saying it', () => {
  const graph = createGraphBuilder({ mlOpset: 3 });
  const x = graph.input('x', 'float32', ['N', 2]);
  const attributes = { scale: { floats: [1, 0.5] }, offset: { floats: Float32Array.of(0, 1) } };
  const [scaled] = graph.addMulti('Scaler', [x], attributes, 1, 'ai.onnx.ml');
  graph.output('y', scaled, 'float32', ['N', 2]);
  graph.describe('made', 'by hand');
  const model = readModel(writeModel(graph.build()));
  expect(model.metadataProps).toEqual([{ key: 'made', value: 'by hand' }]);
  expect(model.opsetImport).toContainEqual({ domain: 'ai.onnx.ml', version: 3 });
  expect(model.graph.node[0]).toMatchObject({ opType: 'Scaler', domain: 'ai.onnx.ml' });
  expect(model.graph.output[0]!.type!.tensorType!.shape!.dim).toEqual([{ dimParam: 'N' }, { dimValue: 2 }]);
  const further = createGraphBuilder({ base: model });
  further.output('y');
  expect(further.build().metadataProps).toEqual(model.metadataProps);
});

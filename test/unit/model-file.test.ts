import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { type ModelProto, type TensorProto, writeModel } from '../../src/shared/onnx/model.js';
import { readModelFile } from '../../src/shared/onnx/model-file.js';
import { packModel } from '../../src/shared/onnx/packed-model.js';
import { runGraph } from '../../src/shared/onnx/run-graph.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { readTensorValues } from '../../src/shared/onnx/tensor-values.js';
import { expectClose, float32 } from '../helpers/arrays.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-model-'));
  await mkdir(join(folder, 'inside'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const weights = float32(40 * 50, (i) => Math.sin(i));
const bytesOf = (values: Float32Array) => new Uint8Array(values.buffer);

/** x (1, 40) · weights (40, 50), the weights described by `stored`. */
function compose(stored: Partial<TensorProto>): ModelProto {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [1, 40]);
  graph.add('MatMul', [x, graph.constant(weights, [40, 50], 'weights')], {}, 'y');
  graph.output('y');
  const model = graph.build();
  const [{ name, dims, dataType }] = model.graph.initializer as [TensorProto];
  return { ...model, graph: { ...model.graph, initializer: [{ name: name!, dims, dataType, ...stored }] } };
}

const external = (entries: Record<string, string>): Partial<TensorProto> => ({
  dataLocation: 1,
  externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
});

async function save(name: string, stored: Partial<TensorProto>): Promise<string> {
  const path = join(folder, 'inside', name);
  await writeFile(path, writeModel(compose(stored)));
  return path;
}

const x = { x: { data: float32(40, (i) => Math.cos(i)), dims: [1, 40] } };
const product = float32(50, (k) => x.x.data.reduce((sum, value, j) => sum + value * weights[j * 50 + k]!, 0));

describe('weights in another file', () => {
  beforeAll(async () => {
    await writeFile(join(folder, 'inside', 'whole.bin'), bytesOf(weights));
    await writeFile(
      join(folder, 'inside', 'behind.bin'),
      Buffer.concat([Buffer.alloc(64, 255), bytesOf(weights), Buffer.alloc(8)]),
    );
    await writeFile(join(folder, 'outside.bin'), bytesOf(weights));
    await symlink(join(folder, 'outside.bin'), join(folder, 'inside', 'link.bin'));
  });

  test.each([
    ['the whole of it', { location: 'whole.bin' }],
    ['a part', { location: 'behind.bin', offset: '64', length: '8000' }],
  ])('are read: %s', async (_, entries) => {
    const model = await readModelFile(await save('external.onnx', external(entries)));
    expectClose(readTensorValues(model.graph.initializer[0]!), weights);
    expectClose((await runGraph(packModel(model), x)).y!.data, product, { atol: 1e-5 });
  });

  test.each([
    ['a file that is not there', { location: 'gone.bin' }, 'gone.bin'],
    ['no file', {}, 'the file of the weights weights'],
    ['a file of another folder', { location: '../outside.bin' }, 'Expected weights inside'],
    ['a file of another folder by a link', { location: 'link.bin' }, 'Expected weights inside'],
    ['an absolute path', { location: '/etc/hostname' }, ''],
    ['more bytes than there are', { location: 'whole.bin', length: '8004' }, 'the file has 8000 bytes'],
    ['a place behind the end', { location: 'whole.bin', offset: '9000' }, 'the file has 8000 bytes'],
    ['an offset that is no number', { location: 'whole.bin', offset: 'ten' }, 'the file has 8000 bytes'],
  ])('are refused: %s', async (_, entries, says) => {
    const path = await save('refused.onnx', external(entries as Record<string, string>));
    await expect(readModelFile(path)).rejects.toMatchObject({
      code: 'MODEL_DAMAGED',
      message: expect.stringContaining(says),
    });
  });
});

test('a file cut anywhere is damaged, and so is one that is no model', async () => {
  const whole = writeModel(compose({ rawData: bytesOf(weights) }));
  const path = join(folder, 'cut.onnx');
  for (const length of [0, 1, 10, 100, whole.length / 2, whole.length - 6, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length));
    await expect(readModelFile(path), `${length} bytes`).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
  }
  await expect(readModelFile(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
  await expect(readModelFile(folder)).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
});

test('a packed model holds large weights beside its graph, and the same values come out', async () => {
  const model = compose({ rawData: bytesOf(weights) });
  const packed = packModel(model);
  expect(packed.bytes.length).toBeLessThan(1000);
  expect(packed.weights.map(({ data }) => data.length)).toEqual([8000]);
  const plain = await createSession(writeModel(model));
  const { y } = await plain.run({ x: new Tensor('float32', x.x.data, x.x.dims) });
  await plain.release();
  expectClose((await runGraph(packed, x)).y!.data, y!.data as Float32Array);
});

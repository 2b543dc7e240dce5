import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pooledLinearGradCamPlusPlus } from '../../src/explain/cam/grad-cam-plus-plus.js';
import { createDifferentiator } from '../../src/explain/differentiator.js';
import { methods } from '../../src/explain/methods.js';
import { bindNetwork } from '../../src/explain/network.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import type { ExplainingData } from '../../src/shared/contracts.js';
import { gradcamKey, workKey } from '../../src/shared/keys.js';
import type { LoadedBundle } from '../../src/shared/loaded-bundle.js';
import { readNpy } from '../../src/shared/npy.js';
import { writeNpz } from '../../src/shared/npz.js';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { prepareImage } from '../../src/shared/onnx/image-input.js';
import { writeModel } from '../../src/shared/onnx/model.js';
import { readModelFile } from '../../src/shared/onnx/model-file.js';
import { runGraph } from '../../src/shared/onnx/run-graph.js';
import { createSession } from '../../src/shared/onnx/session.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type GradcamContext, gradcam } from '../../src/workers/gradcam.js';
import { loadClassifiers } from '../../src/workers/load-classifiers.js';
import { expectClose, float32 } from '../helpers/arrays.js';
import { squeezeExcitation, weightsOf } from '../helpers/small-networks.js';

const model = fileURLToPath(new URL('../golden/nets/mbconv-se-gap.onnx', import.meta.url));
const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => (i * 7919) % 251);
const features = float32(2 * 2 * 3, (i) => Math.cos(i));
const head = { weights: Float32Array.of(2, -1), bias: -0.25, weak: true };
const jobOf = (product: string): ExplainingData => ({
  inspectionId: `i-20260102-${'0'.repeat(24)}`,
  imageKey: 'part.png',
  camera: null,
  product,
  bundle: 'v1',
  policy: 'all',
  priority: 0,
  capturedAt: '2026-01-02T03:04:05.000Z',
  verdict: 'good',
  anomalyScore: 1,
  severity: 50,
  patchDistance: { mean: 1, max: 2 },
});

/** Images of any even size, channels last; a map of half of it and a head that is not linear. */
async function writeFreeNetwork(folder: string): Promise<string> {
  const graph = createGraphBuilder();
  const weights = weightsOf(graph, 3);
  const image = graph.input('image', 'float32', ['N', 'height', 'width', 3]);
  const channelsFirst = graph.add('Transpose', [image], { perm: [0, 3, 1, 2] });
  const kernel = { strides: [2, 2], pads: [1, 1, 0, 0] };
  const map = graph.add('Relu', [graph.add('Conv', [channelsFirst, weights(4, 3, 3, 3)], kernel)]);
  const pooled = graph.add('GlobalMaxPool', [squeezeExcitation(graph, map, 17)]);
  graph.output('y', graph.add('MatMul', [graph.add('Flatten', [pooled]), weights(4, 2)]));
  const path = join(folder, 'free.onnx');
  await writeFile(path, writeModel(graph.build()));
  return path;
}

let folder: string;
let store: ObjectStore;
let compute: Compute;
let context: GradcamContext;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-gradcam-'));
  store = await openStore(folder);
  compute = createCompute({ threads: 1 });
  const work = writeNpz({
    input: { dtype: 'uint8', shape: [32, 32, 3], data: pixels },
    features: { dtype: 'float32', shape: [2, 2, 3], data: features },
  });
  await store.put(workKey(jobOf('kol').inspectionId), work);
  const settings = {
    model,
    defect: 3,
    labels: ['a', 'b', 'c', 'd', 'e'],
    scale: 255 as const,
    layout: 'nchw' as const,
  };
  const standardised = { ...settings, mean: [100, 110, 120], std: [50, 60, 70] };
  const classifiers = await loadClassifiers({
    products: {
      kol: { classifier: standardised },
      free: { classifier: { model: await writeFreeNetwork(folder), scale: 1, layout: 'nhwc' } },
    },
  });
  const loadBundle = async () => ({ classifier: head }) as unknown as LoadedBundle;
  context = { store, compute, classifiers, maxLoadedBundles: 1, loadBundle };
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

test("a product's own classifier is run on the stored pixels and explained", async () => {
  const { key, classifier } = await gradcam(jobOf('kol'), context);

  const session = await createSession(await readFile(model));
  const [mean, std] = [
    [100, 110, 120],
    [50, 60, 70],
  ];
  const image = float32(3 * 32 * 32, (i) => {
    const c = Math.floor(i / 1024);
    return (pixels[3 * (i % 1024) + c]! - mean[c]!) / std[c]!;
  });
  const results = await session.run({ input: new Tensor('float32', image, [1, 3, 32, 32]) });
  const logits = [...(results.logits!.data as Float32Array)];
  const powers = logits.map(Math.exp);
  expect(classifier.probability).toBeCloseTo(powers[3]! / powers.reduce((sum, power) => sum + power), 5);
  expect(classifier.label).toBe('abcde'[logits.indexOf(Math.max(...logits))]);
  expect(classifier.weak).toBe(false);

  const { weights } = context.classifiers.get('kol')!.closedForm!;
  const want = pooledLinearGradCamPlusPlus(results.features!.data as Float32Array, weights, 20, 8, 8).map;
  const map = readNpy(await store.get(key));
  expect([key, map.dtype, map.shape]).toEqual([gradcamKey(jobOf('kol').inspectionId), 'float32', [8, 8]]);
  expectClose(map.data as Float32Array, want, { atol: 1e-5, rtol: 1e-4 });
  expect(Math.max(...want)).toBeGreaterThan(0.01);
});

test('a classifier that is not linear on a global average is differentiated, for each size of image', async () => {
  const own = context.classifiers.get('free')!;
  expect([own.closedForm, own.input.height]).toEqual([undefined, undefined]);
  for (const [n, [H, W]] of (
    [
      [32, 32],
      [64, 40],
      [32, 32],
    ] as const
  ).entries()) {
    const inspection = { ...jobOf('free'), inspectionId: `i-20260102-${String(n + 2).repeat(24)}` };
    const data = Uint8Array.from({ length: H * W * 3 }, (_, i) => (i * 7919) % 251);
    await store.put(workKey(inspection.inspectionId), writeNpz({ input: { dtype: 'uint8', shape: [H, W, 3], data } }));
    const { key, classifier } = await gradcam(inspection, context);

    const x = prepareImage(data, H, W, own.input);
    const network = await bindNetwork(await readModelFile(join(folder, 'free.onnx')), x);
    const differentiator = createDifferentiator(network, runGraph);
    const question = { differentiator, run: runGraph, x, layout: 'nhwc' as const, targets: [[1]] };
    const { maps } = await methods['grad-cam++']!.prepare({})(question, () => Promise.reject(new Error('no array')));
    const map = readNpy(await store.get(key));
    expect([1, ...map.shape]).toEqual(maps[0]!.dims);
    expect(map.shape).toEqual([H / 2, W / 2]);
    expectClose(map.data as Float32Array, maps[0]!.data);
    expect(Math.max(...maps[0]!.data)).toBeGreaterThan(1e-4);
    const [good, defect] = await differentiator.scores(x.data);
    expect(classifier.probability).toBeCloseTo(1 / (1 + Math.exp(good! - defect!)), 6);
    expect(classifier.label).toBe(defect! > good! ? 'defect' : 'good');
  }
});

test('any other product is explained by the head of its bundle', async () => {
  const { key, classifier } = await gradcam(jobOf('plate'), context);
  const [first, second] = [features.subarray(0, 6), features.subarray(6)].map(
    (plane) => plane.reduce((sum, value) => sum + value) / 6,
  );
  const probability = 1 / (1 + Math.exp(-(2 * first! - second! - 0.25)));
  expect(classifier).toEqual({
    label: probability >= 0.5 ? 'defect' : 'good',
    probability: expect.closeTo(probability, 6),
    weak: true,
  });
  const { map } = pooledLinearGradCamPlusPlus(features, head.weights, 2, 2, 3);
  expectClose(readNpy(await store.get(key)).data as Float32Array, map, { atol: 1e-6 });
});

test('work that has been swept away is named', async () => {
  const gone = { ...jobOf('kol'), inspectionId: `i-20260102-${'1'.repeat(24)}` };
  await expect(gradcam(gone, context)).rejects.toMatchObject({ code: 'WORK_GONE' });
});

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { displayCam } from '../../src/explain/cam/display.js';
import { pooledLinearGradCamPlusPlus } from '../../src/explain/cam/grad-cam-plus-plus.js';
import { type ClassifierSettings, loadConfig } from '../../src/shared/config.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { loadClassifiers } from '../../src/shared/load-classifiers.js';
import {
  createGraphBuilder,
  type GraphBuilder,
  type GraphBuilderOptions,
} from '../../src/shared/onnx/graph-builder.js';
import { readModel, writeModel } from '../../src/shared/onnx/model.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { judge, runClassifier, type UserClassifier } from '../../src/shared/user-classifier.js';
import { float32 } from '../helpers/arrays.js';
import { goldenCase } from '../helpers/golden.js';

const networkFile = (name: string) => fileURLToPath(new URL(`../golden/nets/${name}.onnx`, import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-classifier-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function load(model: string, settings: Partial<ClassifierSettings> = {}): Promise<UserClassifier> {
  const classifier: ClassifierSettings = { model, scale: 1, layout: 'nchw', ...settings };
  return (await loadClassifiers({ products: { kol: { classifier } } })).get('kol')!;
}

interface Form {
  classes?: number;
  input?: (number | string)[];
  end?: (graph: GraphBuilder, tensor: string) => string;
  pool?: (graph: GraphBuilder, map: string) => string;
  options?: GraphBuilderOptions;
}

/** A file with the network image -> Conv 3 × 3 -> `map` (1, 4, H, W) -> pool -> Gemm `scores` -> end -> `y`. */
async function writeClassifier(file: string, form: Form = {}): Promise<string> {
  const { classes = 2, input = ['N', 3, 8, 8], end = (_, x) => x, options } = form;
  const { pool = (graph: GraphBuilder, x: string) => graph.add('GlobalAveragePool', [x]) } = form;
  const random = createRandom(5);
  const normals = (length: number) => float32(length, () => random.normal());
  const graph = createGraphBuilder(options);
  const kernel = graph.constant(normals(4 * 3 * 9), [4, 3, 3, 3]);
  const convolved = graph.add('Conv', [graph.input('image', 'float32', input), kernel], { pads: [1, 1, 1, 1] });
  const pooled = graph.add('Flatten', [pool(graph, graph.add('Relu', [convolved], {}, 'map'))]);
  const weights = graph.constant(normals(4 * classes), [4, classes], 'weights');
  graph.output(
    'y',
    end(graph, graph.add('Gemm', [pooled, weights, graph.constant(normals(classes), [classes])], {}, 'scores')),
  );
  const path = join(folder, file);
  await writeFile(path, writeModel(graph.build()));
  return path;
}

/** The results of other conventions; alpha is divided out here, the weights are its sum. */
const notOurs = [
  ...['weights_seed000', 'map_seed000', 'final_seed000', 'weights_pgc', 'map_pgc', 'final_pgc'],
  ...['alpha_closed', 'final_closed_pgc', 'map_seed004'],
];

test.each(['relu-gap', 'residual-clip-gap', 'mbconv-se-gap'])('golden case %s from the network on', async (name) => {
  const golden = goldenCase('grad-cam-plus-plus', name);
  const classifier = await load(golden.network(), {
    layer: 'features',
    defect: Number(golden.int64('target').data[0]),
  });
  const session = await createSession(classifier.model.bytes.slice());
  const { data, shape } = golden.float32('x');
  const run = await runClassifier(session, classifier, { data, dims: shape });
  const [C, h, w] = run.shape;
  const { map, channelWeights } = pooledLinearGradCamPlusPlus(run.activations, classifier.weights, C, h, w);
  const shown = displayCam(map, h, w, 32, 32);
  golden.check({ map_closed: map, weights_closed: channelWeights, final_closed_seed000: shown }, notOurs);
  expect(run.logits[classifier.defect]).toBeCloseTo(golden.params.logit!, 5);
});

test('what is found without being named: output, layer, input and names of two classes', async () => {
  const path = await writeClassifier('plain.onnx');
  const classifier = await load(path);
  expect(classifier).toMatchObject({ layer: 'map', logits: 'y', classes: 2, defect: 1, labels: ['good', 'defect'] });
  expect(classifier).toMatchObject({
    activation: 'softmax',
    input: { name: 'image', channels: 3, height: 8, width: 8 },
  });
  expect((await load(path, { defect: 0 })).labels).toEqual(['defect', 'good']);
  expect((await load(path, { labels: ['ok', 'scratch'] })).labels).toEqual(['ok', 'scratch']);
  expect((await load(networkFile('relu-gap'), { defect: 2 })).labels[0]).toBe('class 0');
});

test('the scores are those before the last activation', async () => {
  const softmax = await writeClassifier('softmax.onnx', { end: (graph, x) => graph.add('Softmax', [x]) });
  expect(await load(softmax)).toMatchObject({ logits: 'scores', activation: 'softmax' });
  const end = (graph: GraphBuilder, x: string) => graph.add('Sigmoid', [x]);
  const sigmoid = await writeClassifier('sigmoid.onnx', { classes: 3, end });
  expect(await load(sigmoid, { defect: 2 })).toMatchObject({ logits: 'scores', activation: 'sigmoid' });
});

test('of several outputs the one named logits holds the scores', async () => {
  const path = await writeClassifier('named.onnx', { end: (graph, x) => graph.add('Identity', [x], {}, 'logits') });
  const model = readModel(await readFile(path));
  model.graph.output.push({ name: 'logits' });
  await writeFile(path, writeModel(model));
  expect((await load(path)).logits).toBe('logits');
});

test('an image with channels last', async () => {
  const graph = createGraphBuilder();
  const image = graph.add('Transpose', [graph.input('image', 'float32', ['N', 6, 8, 3])], { perm: [0, 3, 1, 2] });
  const pooled = graph.add('ReduceMean', [graph.add('Relu', [image], {}, 'map')], { axes: [2, 3], keepdims: 0 });
  graph.output('y', graph.add('MatMul', [pooled, graph.constant(Float32Array.of(1, 2, 3), [3, 1])]));
  const path = join(folder, 'last.onnx');
  await writeFile(path, writeModel(graph.build()));
  const { input, layer, weights } = await load(path, { layout: 'nhwc' });
  expect(input).toMatchObject({ layout: 'nhwc', height: 6, width: 8, channels: 3 });
  expect([layer, ...weights]).toEqual(['map', 1, 2, 3]);
});

test('one score stands for two classes, and its explanation turns round for the first', async () => {
  const path = await writeClassifier('one-score.onnx', { classes: 1, end: (graph, x) => graph.add('Sigmoid', [x]) });
  const [second, first] = [await load(path), await load(path, { defect: 0 })];
  expect([second.defect, second.classes, second.activation]).toEqual([1, 1, 'softmax']);
  expect([...first.weights]).toEqual([...second.weights].map((weight) => -weight));
  expect(first.bias).toBe(-second.bias);
});

test('a network of any size is tried at one, an AveragePool over its whole map passes', async () => {
  const free = await load(await writeClassifier('free.onnx', { input: ['N', 3, 'height', 'width'] }));
  expect([free.input.height, free.input.width]).toEqual([undefined, undefined]);
  const pool = (graph: GraphBuilder, x: string) => graph.add('AveragePool', [x], { kernel_shape: [8, 8] });
  expect((await load(await writeClassifier('whole.onnx', { pool }))).layer).toBe('map');
});

test.each([
  ['softmax', [0.5, 2, 1], 1, 'b', Math.exp(2) / (Math.exp(0.5) + Math.exp(2) + Math.exp(1))],
  ['softmax', [900, 901], 0, 'b', 1 / (1 + Math.E)],
  ['softmax', [1, 1], 1, 'b', 0.5],
  ['softmax', [1.5], 1, 'b', 1 / (1 + Math.exp(-1.5))],
  ['softmax', [1.5], 0, 'b', 1 / (1 + Math.exp(1.5))],
  ['softmax', [-2], 1, 'a', 1 / (1 + Math.exp(2))],
  ['sigmoid', [0.5, 2, 3], 1, 'c', 1 / (1 + Math.exp(-2))],
] as const)('%s of %j, class %i: %s', (activation, logits, defect, label, probability) => {
  const classifier = { activation, defect, labels: ['a', 'b', 'c'] } as unknown as UserClassifier;
  const judged = judge(Float32Array.from(logits), classifier);
  expect(judged.label).toBe(label);
  expect(judged.probability).toBeCloseTo(probability, 12);
});

type Fault = [
  what: string,
  code: string,
  part: string,
  file: () => Promise<string>,
  settings?: Partial<ClassifierSettings>,
];
const golden = (name: string) => () => Promise.resolve(networkFile(name));
const built = (file: string, form: Form) => () => writeClassifier(file, form);
const noFile = () => Promise.resolve(join(folder, 'none.onnx'));
async function cutFile() {
  const bytes = await readFile(networkFile('relu-gap'));
  const path = join(folder, 'cut.onnx');
  await writeFile(path, bytes.subarray(0, bytes.length / 2));
  return path;
}
async function externalWeights() {
  const path = await writeClassifier('external.onnx');
  const model = readModel(await readFile(path));
  model.graph.initializer.find(({ name }) => name === 'weights')!.dataLocation = 1;
  await writeFile(path, writeModel(model));
  return path;
}
async function otherLogits() {
  const path = await writeClassifier('two-matrices.onnx');
  const model = readModel(await readFile(path));
  model.graph.output.push({ ...model.graph.output[0]!, name: 'map' });
  await writeFile(path, writeModel(model));
  return path;
}
const partial = (graph: GraphBuilder, x: string) =>
  graph.add('ReduceMean', [graph.add('AveragePool', [x], { kernel_shape: [4, 4], strides: [4, 4] })], { axes: [2, 3] });
const windowed = (graph: GraphBuilder, x: string) =>
  graph.add('AveragePool', [x], { kernel_shape: [5, 8], strides: [8, 8] });
const unknownOp = (graph: GraphBuilder, x: string) =>
  graph.add('GlobalAveragePool', [graph.add('Unheard', [x], {}, 'odd')]);
const misfit = (graph: GraphBuilder, x: string) =>
  graph.add('GlobalAveragePool', [graph.add('Add', [x, graph.constant(new Float32Array(7), [7])])]);

const faults: Fault[] = [
  ['no file', 'CONFIG_INVALID', 'none.onnx', noFile],
  ['a cut file', 'MODEL_DAMAGED', 'Expected an ONNX model', cutFile],
  ['weights in another file', 'CLASSIFIER_NOT_SUPPORTED', 'weights lies in another', externalWeights],
  ['an input that is no image', 'MODEL_INPUT_MISMATCH', '[N, 2, 8, 8]', built('two.onnx', { input: ['N', 2, 8, 8] })],
  ['the wrong layout', 'MODEL_INPUT_MISMATCH', 'layout nhwc', golden('relu-gap'), { layout: 'nhwc' }],
  ['mean of one channel', 'CONFIG_INVALID', '3 values for mean', golden('relu-gap'), { mean: [0.5] }],
  [
    'an unknown output',
    'CONFIG_INVALID',
    'one of logits, features, but received scores',
    golden('relu-gap'),
    { output: 'scores' },
  ],
  ['several outputs, none named logits', 'CONFIG_INVALID', 'one of y, map, but received none', otherLogits],
  [
    'an output that is no score',
    'CLASSIFIER_NOT_SUPPORTED',
    'n6_relu (Relu)',
    golden('relu-gap'),
    { output: 'features' },
  ],
  ['a head that is not linear', 'CLASSIFIER_NOT_SUPPORTED', 'n7_relu (Relu)', golden('flatten-mlp')],
  [
    'a layer that no node makes',
    'CONFIG_INVALID',
    'Expected features',
    golden('relu-gap'),
    { layer: 'layer4', defect: 1 },
  ],
  [
    'a layer under another',
    'CLASSIFIER_NOT_SUPPORTED',
    'Expected features',
    golden('relu-gap'),
    { layer: 'n4_relu', defect: 1 },
  ],
  ['five classes and no defect', 'CONFIG_INVALID', '0 to 4, for defect but received none', golden('relu-gap')],
  ['a defect out of range', 'CONFIG_INVALID', 'received 5', golden('relu-gap'), { defect: 5 }],
  [
    'too few labels',
    'CONFIG_INVALID',
    '5 names for labels',
    golden('relu-gap'),
    { defect: 1, labels: ['good', 'bad'] },
  ],
  [
    'softmax of one score',
    'CLASSIFIER_NOT_SUPPORTED',
    'always 1',
    built('always.onnx', { classes: 1, end: (graph, x) => graph.add('Softmax', [x]) }),
  ],
  [
    'a window smaller than the map',
    'CLASSIFIER_NOT_SUPPORTED',
    '5 x 8 of 8 x 8',
    built('windowed.onnx', { pool: windowed }),
  ],
  [
    'a window over a map of any size',
    'CLASSIFIER_NOT_SUPPORTED',
    '5 x 8 of',
    built('any.onnx', { pool: windowed, input: ['N', 3, 'h', 'w'] }),
  ],
  ['an unknown operation', 'OP_NOT_SUPPORTED', 'Unheard', built('unknown.onnx', { pool: unknownOp })],
  ['shapes that do not fit', 'MODEL_DAMAGED', 'onnxruntime can run', built('misfit.onnx', { pool: misfit })],
  [
    'shapes that do not fit the size',
    'MODEL_INPUT_MISMATCH',
    '224 x 224',
    built('size.onnx', { pool: misfit, input: ['N', 3, 'h', 'w'] }),
  ],
];

test.each(faults)('%s: %s', async (_, code, part, file, settings) => {
  const path = await file();
  const error: unknown = await load(path, settings).catch((reason) => reason);
  expect(error).toBeInstanceOf(PatchlineError);
  const { code: received, message } = error as PatchlineError;
  expect(received, message).toBe(code);
  expect(message.startsWith(`classifier of product kol, ${path}: Expected `), message).toBe(true);
  expect(message).toContain(part);
});

test('a mean of means over a part of the map is explained at the coarser layer', async () => {
  const path = await writeClassifier('coarse.onnx', { pool: partial });
  expect((await load(path)).layer).toMatch(/^AveragePool/);
});

test('a score that is not what its layer makes of it is never explained', async () => {
  const classifier = await load(await writeClassifier('consistent.onnx'));
  const session = await createSession(classifier.model.bytes.slice());
  const image = { data: float32(3 * 64, (i) => Math.sin(i)), dims: [1, 3, 8, 8] };
  await runClassifier(session, classifier, image);
  const shifted = { ...classifier, bias: classifier.bias + 0.1 };
  const inconsistent = { code: 'EXPLANATION_INCONSISTENT', message: expect.stringContaining('class 1 in y') };
  await expect(runClassifier(session, shifted, image)).rejects.toMatchObject(inconsistent);
  const shorter = { ...classifier, weights: classifier.weights.subarray(1) };
  await expect(runClassifier(session, shorter, image)).rejects.toMatchObject({ code: 'CLASSIFIER_NOT_SUPPORTED' });
});

test('the configuration names classifiers; a relative path starts at its own folder', async () => {
  const path = join(folder, 'patchline.yaml');
  await writeFile(path, 'products: {kol: {classifier: {model: nets/part.onnx, defect: 0, std: [0.2, 0.2, 0.2]}}}');
  const { products } = await loadConfig(path, {});
  const model = join(folder, 'nets/part.onnx');
  expect(products).toEqual({
    kol: { classifier: { model, defect: 0, std: [0.2, 0.2, 0.2], scale: 1, layout: 'nchw' } },
  });
});

test.each([
  ['an unknown setting', '{model: a.onnx, sigma: 4}', 'sigma'],
  ['no model', '{layer: features}', 'products.kol.classifier.model'],
  ['a negative class', '{model: a.onnx, defect: -1}', 'products.kol.classifier.defect'],
  ['a deviation of 0', '{model: a.onnx, std: [0]}', 'products.kol.classifier.std.0'],
  ['another scale', '{model: a.onnx, scale: 2}', 'products.kol.classifier.scale'],
  ['another layout', '{model: a.onnx, layout: chw}', 'products.kol.classifier.layout'],
])('%s is a fault of the configuration', async (_, classifier, part) => {
  const path = join(folder, 'faulty.yaml');
  await writeFile(path, `products: {kol: {classifier: ${classifier}}}`);
  const fault = { code: 'CONFIG_INVALID', message: expect.stringContaining(part) };
  await expect(loadConfig(path, {})).rejects.toMatchObject(fault);
});

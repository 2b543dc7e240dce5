import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { displayCam } from '../../src/explain/cam/display.js';
import { createDifferentiator } from '../../src/explain/differentiator.js';
import { methods } from '../../src/explain/methods.js';
import { bindNetwork } from '../../src/explain/network.js';
import { type ClassifierSettings, loadConfig } from '../../src/shared/config.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import {
  createGraphBuilder,
  type GraphBuilder,
  type GraphBuilderOptions,
} from '../../src/shared/onnx/graph-builder.js';
import { elementTypes, readModel, writeModel } from '../../src/shared/onnx/model.js';
import { readModelFile } from '../../src/shared/onnx/model-file.js';
import { unpackModel } from '../../src/shared/onnx/packed-model.js';
import { type FloatTensor, runGraph } from '../../src/shared/onnx/run-graph.js';
import { loadClassifiers } from '../../src/workers/load-classifiers.js';
import { explainByClassifier, judge, type UserClassifier } from '../../src/workers/user-classifier.js';
import { expectClose, float32 } from '../helpers/arrays.js';
import { goldenCase } from '../helpers/golden.js';
import { squeezeExcitation, transformerBlock } from '../helpers/small-networks.js';

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

/** What the pipeline does with one prepared image. */
async function explain(classifier: UserClassifier, image: FloatTensor) {
  return await explainByClassifier(classifier, image, runGraph, async () => {
    return createDifferentiator(await bindNetwork(unpackModel(classifier.model), image, classifier.scores), runGraph);
  });
}

/** What `patchline explain --method grad-cam++ --raw` writes for the output `output`. */
async function explainRaw(path: string, x: FloatTensor, target: number, output?: string, layer?: string) {
  const network = await bindNetwork(await readModelFile(path), x, output);
  const differentiator = createDifferentiator(network, runGraph);
  const question = { differentiator, run: runGraph, x, layout: 'nchw' as const, targets: [[target]], layer };
  const { maps } = await methods['grad-cam++']!.prepare({})(question, () => Promise.reject(new Error('no array')));
  return maps[0]!.data;
}

const imageOf = (...dims: number[]): FloatTensor => {
  const random = createRandom(9);
  return {
    data: float32(
      dims.reduce((size, length) => size * length),
      () => random.normal(),
    ),
    dims,
  };
};

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

/** The results of other conventions, and the weights, which are checked where they are made. */
const notOurs = [
  ...['weights_seed000', 'map_seed000', 'final_seed000', 'weights_pgc', 'map_pgc', 'final_pgc'],
  ...['alpha_closed', 'weights_closed', 'final_closed_pgc', 'map_seed004'],
];

test.each(['relu-gap', 'residual-clip-gap', 'mbconv-se-gap', 'flatten-mlp'])(
  'golden case %s from the network on',
  async (name) => {
    const golden = goldenCase('grad-cam-plus-plus', name);
    const classifier = await load(golden.network(), {
      layer: 'features',
      defect: Number(golden.int64('target').data[0]),
    });
    const { data, shape } = golden.float32('x');
    const { map, h, w, scores } = await explain(classifier, { data, dims: shape });
    golden.check({ map_closed: map, final_closed_seed000: displayCam(map, h, w, 32, 32) }, notOurs);
    expect(scores[classifier.defect]).toBeCloseTo(golden.params.logit!, 5);
    expect(classifier.closedForm !== undefined).toBe(name !== 'flatten-mlp');
  },
);

const globalAverages: Form['pool'][] = [
  undefined,
  (graph, x) => graph.add('AveragePool', [x], { kernel_shape: [8, 8] }),
  (graph, x) => graph.add('ReduceMean', [x], { axes: [-1, 2] }),
];

test.each([
  ...['relu-gap', 'residual-clip-gap', 'mbconv-se-gap'].map((name) => [name, networkFile(name), 3] as const),
  ...globalAverages.flatMap((pool, index) =>
    [0, 1].map((defect) => [`pool ${index}, class ${defect}`, { classes: 2, ...(pool && { pool }) }, defect] as const),
  ),
  ...[0, 1].map((defect) => [`one score, class ${defect}`, { classes: 1 }, defect] as const),
])('the closed form is what differentiating gives: %s', async (_, network, defect) => {
  const path = typeof network === 'string' ? network : await writeClassifier('closed.onnx', network);
  const classifier = await load(path, { defect });
  const { closedForm, ...general } = classifier;
  expect(closedForm).toBeDefined();
  const image = imageOf(1, 3, classifier.input.height!, classifier.input.width!);
  const [closed, differentiated] = [await explain(classifier, image), await explain(general, image)];
  expect(Math.max(...closed.map.map(Math.abs))).toBeGreaterThan(1e-3);
  expectClose(closed.map, differentiated.map, { atol: 1e-6, rtol: 1e-6 });
  expectClose(closed.scores, differentiated.scores, { atol: 1e-6, rtol: 1e-6 });
});

/** A file with the network image -> Conv 3 × 3, Relu `map` (1, 4, 8, 8) -> body -> `y`. */
async function writeNetwork(file: string, body: (graph: GraphBuilder, map: string) => string): Promise<string> {
  const random = createRandom(4);
  const graph = createGraphBuilder();
  const kernel = graph.constant(
    float32(4 * 27, () => random.normal()),
    [4, 3, 3, 3],
  );
  const image = graph.input('image', 'float32', ['N', 3, 8, 8]);
  const map = graph.add('Relu', [graph.add('Conv', [image, kernel], { pads: [1, 1, 1, 1] })], {}, 'map');
  graph.output('y', body(graph, map));
  const path = join(folder, file);
  await writeFile(path, writeModel(graph.build()));
  return path;
}
const ramp = (graph: GraphBuilder, ...dims: number[]) =>
  graph.constant(
    float32(
      dims.reduce((size, length) => size * length),
      (i) => Math.sin(i + 1) / 2,
    ),
    dims,
  );

/** Heads that are not linear on a global average, by the layer that is found by itself. */
const bodies: Record<string, [layer: string | RegExp, body: (graph: GraphBuilder, map: string) => string]> = {
  'a flattened map and hidden units': [
    'map',
    (graph, map) => {
      const hidden = graph.add('Relu', [graph.add('Gemm', [graph.add('Flatten', [map]), ramp(graph, 256, 6)])]);
      return graph.add('Gemm', [hidden, ramp(graph, 6, 2)]);
    },
  ],
  'squeeze and excitation': [
    /^Mul/,
    (graph, map) => {
      const pooled = graph.add('GlobalMaxPool', [squeezeExcitation(graph, map, 17)]);
      return graph.add('MatMul', [graph.add('Flatten', [pooled]), ramp(graph, 4, 2)]);
    },
  ],
  'a residual connection and a maximum': [
    'sum',
    (graph, map) => {
      const convolved = graph.add('Conv', [map, ramp(graph, 4, 4, 3, 3)], { pads: [1, 1, 1, 1] });
      const pooled = graph.add('GlobalMaxPool', [graph.add('Add', [map, convolved], {}, 'sum')]);
      return graph.add('Gemm', [graph.add('Flatten', [pooled]), ramp(graph, 4, 2)]);
    },
  ],
  'a transformer over patches': [
    'patches',
    (graph, map) => {
      const patches = graph.add('Conv', [map, ramp(graph, 6, 4, 4, 4)], { strides: [4, 4] }, 'patches');
      const rows = graph.add('Reshape', [patches, graph.integers(0, 6, 4)]);
      const tokens = graph.add('Transpose', [rows], { perm: [0, 2, 1] });
      const mixed = graph.add('ReduceMean', [transformerBlock(graph, tokens, 17)], { axes: [1], keepdims: 0 });
      return graph.add('Gemm', [mixed, ramp(graph, 6, 2)]);
    },
  ],
  'scores of four axes': [
    'map',
    (graph, map) => {
      const pooled = graph.add('AveragePool', [map], { kernel_shape: [5, 5], strides: [3, 3] });
      return graph.add('Conv', [pooled, ramp(graph, 2, 4, 2, 2)]);
    },
  ],
};

test.each(Object.entries(bodies))('%s: the map is the one that explain writes', async (name, [layer, body]) => {
  const file = name.replaceAll(' ', '-');
  const path = await writeNetwork(`${file}.onnx`, (graph, map) => {
    const scores = graph.add('Flatten', [body(graph, map)], {}, 'scores');
    return graph.add('Identity', [graph.add('Softmax', [scores])]);
  });
  const image = imageOf(1, 3, 8, 8);
  for (const defect of [0, 1]) {
    const classifier = await load(path, { defect });
    expect(classifier.layer).toEqual(typeof layer === 'string' ? layer : expect.stringMatching(layer));
    expect([classifier.closedForm, classifier.classes]).toEqual([undefined, 2]);
    const { map } = await explain(classifier, image);
    expect(Math.max(...map.map(Math.abs))).toBeGreaterThan(1e-4);
    expectClose(map, await explainRaw(path, image, defect, 'scores'));
  }
});

test('a layer that is named is explained, whichever it is', async () => {
  const path = networkFile('residual-clip-gap');
  const classifier = await load(path, { layer: 'n6_relu', defect: 2 });
  expect([classifier.layer, classifier.closedForm]).toEqual(['n6_relu', undefined]);
  const image = imageOf(1, 3, 32, 32);
  const { map, h, w } = await explain(classifier, image);
  expect([h, w]).toEqual([16, 16]);
  expectClose(map, await explainRaw(path, image, 2, 'logits', 'n6_relu'));
});

test('a single score that is no linear one speaks for the second class, turned round for the first', async () => {
  const body = (graph: GraphBuilder, map: string) => {
    const hidden = graph.add('Tanh', [graph.add('Gemm', [graph.add('Flatten', [map]), ramp(graph, 256, 6)])]);
    return graph.add('MatMul', [hidden, ramp(graph, 6, 1)], {}, 'score');
  };
  const path = await writeNetwork('one-deep.onnx', (graph, map) => {
    const probability = graph.add('Sigmoid', [body(graph, map)]);
    return graph.add('Cast', [graph.add('Squeeze', [probability])], { to: elementTypes.float32 });
  });
  const turned = await writeNetwork('turned.onnx', (graph, map) => graph.add('Neg', [body(graph, map)]));
  const image = imageOf(1, 3, 8, 8);
  const [second, first] = [await load(path), await load(path, { defect: 0 })];
  expect([second.defect, second.classes, second.activation, second.closedForm]).toEqual([1, 1, 'softmax', undefined]);
  const [forDefect, against] = [await explain(second, image), await explain(first, image)];
  expectClose(forDefect.map, await explainRaw(path, image, 0, 'score'));
  expectClose(against.map, await explainRaw(turned, image, 0));
  expectClose(forDefect.scores, against.scores);
});

test('what is found without being named: output, layer, input and names of two classes', async () => {
  const path = await writeClassifier('plain.onnx');
  const classifier = await load(path);
  expect(classifier).toMatchObject({ layer: 'map', classes: 2, defect: 1, labels: ['good', 'defect'] });
  expect(classifier).toMatchObject({
    activation: 'softmax',
    input: { name: 'image', channels: 3, height: 8, width: 8 },
  });
  expect((await load(path, { defect: 0 })).labels).toEqual(['defect', 'good']);
  expect((await load(path, { labels: ['ok', 'scratch'] })).labels).toEqual(['ok', 'scratch']);
  expect((await load(networkFile('relu-gap'), { defect: 2 })).labels[0]).toBe('class 0');
});

test('the scores are those before the last activation', async () => {
  const image = imageOf(1, 3, 8, 8);
  const plain = await explain(await load(await writeClassifier('bare.onnx')), image);
  for (const opType of ['Softmax', 'LogSoftmax', 'Sigmoid']) {
    const path = await writeClassifier(`${opType}.onnx`, { end: (graph, x) => graph.add(opType, [x]) });
    const classifier = await load(path);
    expect(classifier.activation).toBe(opType === 'Sigmoid' ? 'sigmoid' : 'softmax');
    expect(await explain(classifier, image)).toEqual(plain);
  }
});

test('of several outputs the one named logits holds the scores', async () => {
  const path = await writeClassifier('named.onnx', { end: (graph, x) => graph.add('Mul', [x, x], {}, 'logits') });
  const model = readModel(await readFile(path));
  model.graph.output = [{ name: 'scores' }, { name: 'logits' }];
  await writeFile(path, writeModel(model));
  const image = imageOf(1, 3, 8, 8);
  const named = await explain(await load(path), image);
  const { scores } = await explain(await load(path, { output: 'scores' }), image);
  expectClose(
    named.scores,
    scores.map((score) => score ** 2),
    { rtol: 1e-6 },
  );
});

test('weights in another file', async () => {
  const path = await writeClassifier('external.onnx');
  const inside = await explain(await load(path), imageOf(1, 3, 8, 8));
  const model = readModel(await readFile(path));
  const weights = model.graph.initializer.find(({ name }) => name === 'weights')!;
  await writeFile(join(folder, 'weights.bin'), weights.rawData!);
  delete weights.rawData;
  Object.assign(weights, { dataLocation: 1, externalData: [{ key: 'location', value: 'weights.bin' }] });
  await writeFile(path, writeModel(model));
  expect(await explain(await load(path), imageOf(1, 3, 8, 8))).toEqual(inside);
});

test('an image with channels last', async () => {
  const graph = createGraphBuilder();
  const image = graph.add('Transpose', [graph.input('image', 'float32', ['N', 6, 8, 3])], { perm: [0, 3, 1, 2] });
  const pooled = graph.add('ReduceMean', [graph.add('Relu', [image], {}, 'map')], { axes: [2, 3], keepdims: 0 });
  graph.output('y', graph.add('MatMul', [pooled, graph.constant(Float32Array.of(1, 2, 3), [3, 1])]));
  const path = join(folder, 'last.onnx');
  await writeFile(path, writeModel(graph.build()));
  const { input, layer, closedForm } = await load(path, { layout: 'nhwc' });
  expect(input).toMatchObject({ layout: 'nhwc', height: 6, width: 8, channels: 3 });
  expect([layer, ...closedForm!.weights]).toEqual(['map', 1, 2, 3]);
});

test('one score stands for two classes, and its explanation turns round for the first', async () => {
  const path = await writeClassifier('one-score.onnx', { classes: 1, end: (graph, x) => graph.add('Sigmoid', [x]) });
  const [second, first] = [await load(path), await load(path, { defect: 0 })];
  expect([second.defect, second.classes, second.activation]).toEqual([1, 1, 'softmax']);
  expect([...first.closedForm!.weights]).toEqual([...second.closedForm!.weights].map((weight) => -weight));
  expect(first.closedForm!.bias).toBe(-second.closedForm!.bias);
});

test('a network of any size is tried at one', async () => {
  const free = await load(await writeClassifier('free.onnx', { input: ['N', 3, 'height', 'width'] }));
  expect([free.input.height, free.input.width]).toEqual([undefined, undefined]);
  const window = { kernel_shape: [224, 224], strides: [224, 224] }; // the whole map of this size only
  const pool = (graph: GraphBuilder, x: string) => graph.add('AveragePool', [x], window);
  const averaged = await load(await writeClassifier('any.onnx', { pool, input: ['N', 3, 'height', 'width'] }));
  expect(averaged.closedForm).toBeUndefined();
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
async function otherLogits() {
  const path = await writeClassifier('two-matrices.onnx');
  const model = readModel(await readFile(path));
  model.graph.output.push({ ...model.graph.output[0]!, name: 'map' });
  await writeFile(path, writeModel(model));
  return path;
}
const partial = (graph: GraphBuilder, x: string) =>
  graph.add('ReduceMean', [graph.add('AveragePool', [x], { kernel_shape: [4, 4], strides: [4, 4] })], { axes: [2, 3] });
const unknownOp = (graph: GraphBuilder, x: string) =>
  graph.add('GlobalAveragePool', [graph.add('Unheard', [x], {}, 'odd')]);
const misfit = (graph: GraphBuilder, x: string) =>
  graph.add('GlobalAveragePool', [graph.add('Add', [x, graph.constant(new Float32Array(7), [7])])]);

const withoutRule = (graph: GraphBuilder, x: string) => graph.add('Det', [x]);
const inSteps = (graph: GraphBuilder, x: string) => {
  const whole = graph.add('Cast', [graph.add('GlobalAveragePool', [x])], { to: elementTypes.int32 });
  return graph.add('Cast', [whole], { to: elementTypes.float32 });
};
async function withoutMap() {
  const graph = createGraphBuilder();
  const flat = graph.add('Flatten', [graph.input('image', 'float32', ['N', 3, 8, 8])]);
  graph.output('y', graph.add('MatMul', [flat, ramp(graph, 192, 2)]));
  const path = join(folder, 'no-map.onnx');
  await writeFile(path, writeModel(graph.build()));
  return path;
}

const faults: Fault[] = [
  ['no file', 'CONFIG_INVALID', 'none.onnx', noFile],
  ['a cut file', 'MODEL_DAMAGED', 'Expected an ONNX model', cutFile],
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
    'CONFIG_INVALID',
    '[1, classes], in features but received [1, 16, 8, 8]',
    golden('relu-gap'),
    { output: 'features' },
  ],
  [
    'a layer that no node makes',
    'CONFIG_INVALID',
    'received featurs, which no node makes (did you mean features?)',
    golden('relu-gap'),
    { layer: 'featurs', defect: 1 },
  ],
  [
    'a layer that is no map',
    'CONFIG_INVALID',
    'received logits, float32 [1, 5]',
    golden('relu-gap'),
    { layer: 'logits', defect: 1 },
  ],
  ['no map to be found', 'CONFIG_INVALID', 'layer but received none; there are none', withoutMap],
  ['an operation without a derivative', 'OP_NOT_SUPPORTED', 'Det', built('steps.onnx', { pool: withoutRule })],
  [
    'a score that does not follow smoothly from the layer',
    'GRADIENT_UNREACHABLE',
    'from map to scores of y',
    built('steps.onnx', { pool: inSteps }),
    { layer: 'map' },
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
  ['an unknown operation', 'OP_NOT_SUPPORTED', 'Unheard', built('unknown.onnx', { pool: unknownOp })],
  [
    'shapes that do not fit',
    'MODEL_INPUT_MISMATCH',
    'an input of [1, 3, 8, 8]',
    built('misfit.onnx', { pool: misfit }),
  ],
  [
    'shapes that do not fit the size',
    'MODEL_INPUT_MISMATCH',
    'an input of [1, 3, 224, 224]',
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

test('a mean of means over a part of the map is explained at the finer layer', async () => {
  const path = await writeClassifier('coarse.onnx', { pool: partial });
  expect((await load(path)).layer).toBe('map');
});

test('a score that is not what its layer makes of it is never explained', async () => {
  const classifier = await load(await writeClassifier('consistent.onnx'));
  const { weights, bias } = classifier.closedForm!;
  const shifted = { ...classifier, closedForm: { weights, bias: bias + 0.1 } };
  await expect(explain(shifted, imageOf(1, 3, 8, 8))).rejects.toMatchObject({ code: 'EXPLANATION_INCONSISTENT' });
});

test.each([
  ['score', 1e30, (graph: GraphBuilder, x: string) => graph.add('Mul', [x, graph.scalar(1e10)])],
  ['gradient', 0, (graph: GraphBuilder, x: string) => graph.add('Sqrt', [x])],
])('a %s that is no number is an error', async (what, value, end) => {
  const path = await writeNetwork(`${what}.onnx`, (graph, map) => {
    const pooled = end(graph, graph.add('Flatten', [graph.add('GlobalMaxPool', [map])]));
    return graph.add('MatMul', [pooled, ramp(graph, 4, 2)]);
  });
  const classifier = await load(path, { defect: 0 });
  const image = { data: new Float32Array(3 * 64).fill(value), dims: [1, 3, 8, 8] };
  await expect(explain(classifier, image)).rejects.toMatchObject({ code: 'VALUES_NOT_FINITE' });
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

import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { configSchema, loadConfig, type TableSettings } from '../../src/shared/config.js';
import type { ProcessAttribution } from '../../src/shared/contracts.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { writeNpy } from '../../src/shared/npy.js';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { type ModelProto, readModel, writeModel } from '../../src/shared/onnx/model.js';
import { loadTables } from '../../src/workers/load-tables.js';
import { attributeProcess, type Readings } from '../../src/workers/process-attribution.js';
import { goldenCase } from '../helpers/golden.js';
import { listedModel } from '../helpers/trees.js';

/** A binary classifier of five columns, from scikit-learn by way of skl2onnx. */
const golden = goldenCase('tree-shap', 'gb-classifier-interventional');
const boostedTrees = readFileSync(golden.network());

let root: string;
let compute: Compute;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-tables-'));
  compute = createCompute({ threads: 1 });
});
afterAll(async () => {
  await compute.close();
  await rm(root, { recursive: true });
});

const inRoot = (name: string) => join(root, name);
const write = (name: string, content: string | Uint8Array) => writeFile(inRoot(name), content);

/** 2 temperature + relu(pressure - 1), one input for each column as skl2onnx writes them, then a third value to keep. */
function perColumnModel(): ModelProto {
  const graph = createGraphBuilder();
  const column = (name: string) => graph.input(name, 'float32', ['N', 1]);
  const constant = (...values: number[]) => graph.constant(Float32Array.from(values), [1, values.length]);
  const [temperature, pressure] = [column('temperature_c'), column('hold_pressure_bar')];
  const raised = graph.add('Relu', [graph.add('Sub', [pressure, constant(1)])]);
  graph.output('variable', graph.add('Add', [graph.add('Mul', [temperature, constant(2)]), raised]));
  return graph.build();
}

const load = async (table: Partial<TableSettings> & { model: string }) => {
  const paths = { ...(table.background && { background: inRoot(table.background) }), model: inRoot(table.model) };
  const config = configSchema.parse({ products: { kol: { table: { ...table, ...paths } } } });
  return (await loadTables(config)).get('kol')!;
};
const readings = (process?: Readings['process']): Readings => ({
  process,
  features: [0.5, 3, 0.01, 0.2, 0.9],
  anomalyScore: 2.5,
  severity: 130,
});
const sumOf = ({ baseValue, features }: ProcessAttribution) =>
  features.reduce((sum, { shap }) => sum + shap, baseValue);

describe('a model with an input for each column', () => {
  beforeAll(async () => {
    await write('line.onnx', writeModel(perColumnModel()));
    // order and further columns do not matter
    await write('line.background.csv', 'speed,hold pressure bar,temperature_c\n9,0,10\n9,2,14\n');
  });

  test('is explained by what its inputs are called, against the background beside it', async () => {
    const table = await load({ model: 'line.onnx' });
    expect(table.columns).toEqual(['temperature_c', 'hold_pressure_bar']);
    const given = { 'hold pressure bar': 4, temperature_c: 20, unused: 1 };
    const { process, attribution } = await attributeProcess(table, readings(given), compute);
    expect(process).toEqual({ status: 'done' });
    expect(attribution).toEqual({
      model: { file: 'line.onnx', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      output: 'variable',
      scale: 'output',
      value: 43,
      baseValue: 24.5, // (20 + 0 + 28 + 1) / 2
      features: [
        { name: 'temperature_c', value: 20, shap: 16 }, // 2 (20 - 12)
        { name: 'hold_pressure_bar', value: 4, shap: 2.5 }, // 3 - (0 + 1) / 2
      ],
    });
  });

  test('an image without process data is skipped, one that lacks a number fails by its name', async () => {
    const table = await load({ model: 'line.onnx' });
    for (const none of [undefined, {}]) {
      expect(await attributeProcess(table, readings(none), compute)).toEqual({
        process: {
          status: 'skipped',
          code: 'PROCESS_DATA_MISSING',
          message:
            'Expected the process data temperature_c, hold_pressure_bar for line.onnx but the image came without any',
        },
      });
    }
    expect(await attributeProcess(table, readings({ temperature_c: 20, speed: 3 }), compute)).toEqual({
      process: {
        status: 'failed',
        code: 'PROCESS_DATA_MISSING',
        message:
          'Expected the process data hold_pressure_bar for line.onnx but the image came with temperature_c, speed',
      },
    });
  });

  test('a number that overflows the model fails the attribution alone', async () => {
    const table = await load({ model: 'line.onnx' });
    const { process, attribution } = await attributeProcess(
      table,
      readings({ temperature_c: 1e300, hold_pressure_bar: 1 }),
      compute,
    );
    expect(process).toMatchObject({ status: 'failed', code: 'EXPLANATION_INCONSISTENT' });
    expect(attribution).toBeUndefined();
  });
});

test('columns are process numbers first, then what the inspection has found itself', async () => {
  const columns = ['severity', 'max_patch_distance', 'anomaly_score', 'depth_variance', 'temperature_c'];
  const model = readModel(boostedTrees);
  await write('own.onnx', writeModel(model));
  const random = createRandom(3);
  const background = Float64Array.from({ length: 50 }, () => random.normal());
  await write('own.npy', writeNpy({ dtype: 'float64', shape: [10, 5], data: background }));
  const settings = { model: 'own.onnx', background: 'own.npy', columns, explainOutput: 'probability' as const };
  const { attribution } = await attributeProcess(
    await load(settings),
    readings({ temperature_c: 0.3, severity: -0.4 }),
    compute,
  );
  expect(attribution!.features.map(({ name, value }) => [name, value])).toEqual([
    ['severity', -0.4],
    ['max_patch_distance', 3],
    ['anomaly_score', 2.5],
    ['depth_variance', 0.01],
    ['temperature_c', 0.3],
  ]);
  expect(attribution).toMatchObject({ output: 'probabilities', target: 1, scale: 'probability' });
  expect(sumOf(attribution!)).toBeCloseTo(attribution!.value, 9);
  const other = await attributeProcess(
    await load({ ...settings, target: 0 }),
    readings({ temperature_c: 0.3 }),
    compute,
  );
  expect(other.attribution!.target).toBe(0);
  expect(other.attribution!.features[0]!.value).toBe(130);
});

test('the golden rows of boosted trees are attributed as their peer does', async () => {
  const columns = ['a', 'b', 'c', 'd', 'e'];
  const [x, background] = [golden.float32('x'), golden.float32('background')];
  await write('golden.onnx', boostedTrees);
  await write('golden.npy', writeNpy({ dtype: 'float32', ...background }));
  const table = await load({ model: 'golden.onnx', background: 'golden.npy', columns, predicts: 'scrap' });
  const attributions: ProcessAttribution[] = [];
  for (let row = 0; row < x.shape[0]!; row++) {
    const process = Object.fromEntries(columns.map((name, j) => [name, x.data[5 * row + j]!]));
    const { attribution } = await attributeProcess(table, readings(process), compute);
    expect(attribution).toMatchObject({ predicts: 'scrap', scale: 'margin' });
    attributions.push(attribution!);
  }
  golden.check({
    phi: attributions.flatMap(({ features }) => features.map(({ shap }) => shap)),
    expected_value: [attributions[0]!.baseValue],
    prediction: attributions.map(({ value }) => value),
  });
});

test('a missing number goes where the trees send it, and nowhere where they say nothing', async () => {
  const tree = (missingIsTrue: boolean) => ({
    ...{ feature: 0, mode: 'BRANCH_LEQ' as const, threshold: 5, missingIsTrue },
    children: [
      { weights: [1] },
      {
        feature: 1,
        mode: 'BRANCH_LEQ' as const,
        threshold: 0,
        missingIsTrue: false,
        children: [{ weights: [2] }, { weights: [4] }],
      },
    ],
  });
  await write('usual.csv', 't,p\n9,1\n8,-1\n');
  for (const routes of [true, false]) {
    await write('trees.onnx', writeModel(listedModel([tree(routes) as never], { D: 2 })));
    const table = await load({ model: 'trees.onnx', background: 'usual.csv' });
    const { process, attribution } = await attributeProcess(table, readings({ p: 1 }), compute);
    if (!routes) expect(process).toMatchObject({ status: 'failed', code: 'PROCESS_DATA_MISSING' });
    else {
      expect(process).toEqual({ status: 'done' });
      expect(attribution).toMatchObject({ value: 1, baseValue: 3 });
      expect(attribution!.features[0]).toMatchObject({ name: 't', value: null });
    }
    // a sidecar that knows none of the names is no sidecar of this model
    expect((await attributeProcess(table, readings({ other: 1 }), compute)).process.status).toBe('failed');
  }
});

test('a model may say itself what its columns are called and what it gives', async () => {
  const named = (names: unknown): ModelProto => ({
    ...readModel(boostedTrees),
    metadataProps: [
      { key: 'patchline.features', value: JSON.stringify(names) },
      { key: 'patchline.target', value: 'scrap' },
    ],
  });
  await write('named.onnx', writeModel(named(['a', 'b', 'c', 'd', 'e'])));
  await write('named.background.csv', 'e,d,c,b,a\n1,2,3,4,5\n');
  const table = await load({ model: 'named.onnx' });
  expect(table).toMatchObject({ columns: ['a', 'b', 'c', 'd', 'e'], predicts: 'scrap', method: 'tree' });
  expect([...table.background]).toEqual([5, 4, 3, 2, 1]);
  await write('named.onnx', writeModel(named('a')));
  await expect(load({ model: 'named.onnx' })).rejects.toMatchObject({ code: 'MODEL_DAMAGED' });
});

describe('is refused when it is loaded, by product and file,', () => {
  beforeAll(async () => {
    await write('five.onnx', boostedTrees);
    await write('five.csv', 'a,b,c,d,e\n1,2,3,4,5\n');
    await write('four.csv', 'a,b,c,d\n1,2,3,4\n');
    await write('hole.csv', 'a,b,c,d,e\n1,2,,4,5\n');
    await write('empty.csv', 'a,b,c,d,e\n');
    await write('five.npy', writeNpy({ dtype: 'float32', shape: [1, 5], data: new Float32Array(5) }));
  });

  test.each([
    ['a model that is not there', { model: 'none.onnx' }, 'CONFIG_INVALID', 'readable file for model'],
    ['a background that is not there', { model: 'five.onnx' }, 'CONFIG_INVALID', 'five.background.csv'],
    ['a background of too few columns', { background: 'four.csv' }, 'MODEL_INPUT_MISMATCH', ''],
    [
      'a background that lacks a column',
      { background: 'five.csv', columns: ['a', 'b', 'c', 'd', 'x'] },
      'MODEL_INPUT_MISMATCH',
      'it lacks x',
    ],
    ['a missing value that nobody routes', { background: 'hole.csv' }, 'VALUES_NOT_FINITE', 'row 1, column "c"'],
    ['no usual rows', { background: 'empty.csv' }, 'SHAPE_MISMATCH', 'a row or more'],
    ['columns without names', { background: 'five.npy' }, 'CONFIG_INVALID', 'for columns'],
    ['a file that is no model', { model: 'five.csv', background: 'five.csv' }, 'MODEL_DAMAGED', ''],
    ['an output that it has not', { background: 'five.csv', output: 'nothing' }, 'CONFIG_INVALID', 'nothing'],
    ['a value that it has not', { background: 'five.csv', target: 1 }, 'CONFIG_INVALID', 'for target but received 1'],
    ['a method that is not for it', { background: 'five.csv', method: 'linear' as const }, 'OP_NOT_SUPPORTED', ''],
  ])('%s', async (_, settings, code, text) => {
    const { model } = { model: 'five.onnx', ...settings };
    const failing = load({ model, ...settings });
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    await expect(failing).rejects.toThrow(`table of product kol, ${inRoot(model)}: `);
  });
});

test('paths begin at the folder of the configuration file', async () => {
  await write('patchline.yaml', 'products: {kol: {table: {model: five.onnx, background: sub/usual.csv}}, nut: {}}');
  const { products } = await loadConfig(inRoot('patchline.yaml'), {});
  expect(products.kol!.table).toMatchObject({ model: inRoot('five.onnx'), background: inRoot('sub/usual.csv') });
  expect(products.kol!.classifier).toBeUndefined();
});

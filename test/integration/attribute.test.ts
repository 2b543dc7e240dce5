import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../src/shared/kernels/random.js';
import { readNpy, writeNpy } from '../../src/shared/npy.js';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { type ModelProto, writeModel } from '../../src/shared/onnx/model.js';
import { expectClose, float32 } from '../helpers/arrays.js';
import { runCommand } from '../helpers/command-line.js';
import { gridRows, listedModel, randomTree } from '../helpers/trees.js';

const names = ['melt temperature [°C]', 'hold pressure [bar]', 'cycle time [s]', 'shot size [cm³]'];
const D = names.length;
const random = createRandom(41);
const trees = Array.from({ length: 5 }, () => randomTree(random, { D, depth: 4, K: 2, missing: true }));
const rows = gridRows(random, 6, D);
const background = gridRows(random, 4, D);

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-attribute-'));
  await writeFile(join(root, 'trees.onnx'), writeModel(listedModel(trees, { D, K: 2 })));
  await writeFile(join(root, 'net.onnx'), writeModel(network()));
  await writeFile(join(root, 'two-outputs.onnx'), writeModel(network(['first', 'second'])));
  await writeFile(join(root, 'named.onnx'), writeModel(namedColumns()));
  await writeFile(join(root, 'images.onnx'), writeModel(imageNetwork()));
  await writeFile(join(root, 'x.npy'), writeNpy({ dtype: 'float64', shape: [6, D], data: rows }));
  await writeFile(join(root, 'usual.npy'), writeNpy({ dtype: 'float64', shape: [4, D], data: background }));
  await writeFile(join(root, 'x.csv'), csv(names, rows));
  await writeFile(join(root, 'usual.csv'), csv(names, background));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const csv = (columns: string[], values: Float64Array) =>
  [
    ['part', ...columns],
    ...Array.from({ length: values.length / columns.length }, (_, i) => [
      `K${i + 1}`,
      ...values.subarray(i * columns.length, (i + 1) * columns.length),
    ]),
  ]
    .map((record) => `${record.join(',')}\n`)
    .join('');

function network(outputs = ['scores']): ModelProto {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', ['N', D]);
  const hidden = graph.add('Tanh', [
    graph.add('MatMul', [
      x,
      graph.constant(
        float32(D * 3, (i) => Math.sin(i)),
        [D, 3],
      ),
    ]),
  ]);
  const scores = graph.add('MatMul', [
    hidden,
    graph.constant(
      float32(6, (i) => Math.cos(i)),
      [3, 2],
    ),
  ]);
  for (const name of outputs) graph.output(name, scores);
  return graph.build();
}

/** One input for each column, named as exporters do. */
function namedColumns(): ModelProto {
  const graph = createGraphBuilder();
  const inputs = names.map((name) => graph.input(name.replace(/[^A-Za-z0-9_]/g, '_'), 'float32', ['N', 1]));
  const joined = graph.add('Concat', inputs, { axis: 1 });
  graph.output(
    'scores',
    graph.add('MatMul', [
      joined,
      graph.constant(
        float32(D, (j) => j + 1),
        [D, 1],
      ),
    ]),
  );
  return graph.build();
}

function imageNetwork(): ModelProto {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', ['N', 1, 2, 3]);
  const flat = graph.add('Flatten', [graph.add('Mul', [x, x])]);
  graph.output(
    'scores',
    graph.add('MatMul', [
      flat,
      graph.constant(
        float32(6, (j) => j),
        [6, 1],
      ),
    ]),
  );
  return graph.build();
}

const file = (name: string) => join(root, name);
const run = (...args: string[]) =>
  runCommand(['attribute', ...args.map((arg) => (/\.(npy|csv|onnx)$/.test(arg) ? file(arg) : arg))]);
const load = async (out: string, name: string) => readNpy(await readFile(join(file(out), name)), name);

test('trees are attributed to the columns of a table, with every output on a last axis', async () => {
  const { code, stdout, stderr } = await run(
    ...['--model', 'trees.onnx', '--data', 'x.csv', '--background', 'usual.csv', '--out', file('a'), '--json'],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ method: 'tree', output: 'scores', scale: 'output', rows: 6, features: D, outputs: 2 });
  expect(report.importance.map(({ name }: { name: string }) => name).sort()).toEqual([...names].sort());
  expect(report.files).toEqual(
    ['shap_values.npy', 'expected_value.npy', 'attributions.csv'].map((name) => join(file('a'), name)),
  );
  const values = await load('a', 'shap_values.npy');
  const expected = await load('a', 'expected_value.npy');
  expect([values.shape, expected.shape]).toEqual([[6, D, 2], [2]]);
  const lines = (await readFile(join(file('a'), 'attributions.csv'), 'utf8')).trim().split('\n');
  expect(lines[0]).toBe(['part', 'output', 'prediction', 'expected value', ...names].join(','));
  expect(lines).toHaveLength(1 + 6 * 2);
  for (const [i, line] of lines.slice(1).entries()) {
    const [part, k, prediction, base, ...own] = line.split(',');
    expect([part, k]).toEqual([`K${Math.floor(i / 2) + 1}`, String(i % 2)]);
    expect(own.reduce((sum, value) => sum + Number(value), Number(base))).toBeCloseTo(Number(prediction), 10);
  }
});

test('one output has no axis, and arrays give what tables give', async () => {
  const common = ['--model', 'trees.onnx', '--target', '1'];
  const { stdout } = await run(...common, '--data', 'x.npy', '--background', 'usual.npy', '--out', file('b'));
  await run('--model', 'trees.onnx', '--data', 'x.csv', '--background', 'usual.csv', '--out', file('c'));
  const [one, both] = [await load('b', 'shap_values.npy'), await load('c', 'shap_values.npy')];
  expect(one.shape).toEqual([6, D]);
  expectClose(
    one.data,
    (both.data as Float64Array).filter((_, i) => i % 2 === 1),
  );
  expect(stdout).toMatch(
    /^method tree: scores, 6 rows, 4 columns, \d+\.\d s\nchosen because the model ends in trees\nexpected value \S+; largest gap \S+\nmean size/,
  );
  expect(stdout).toContain('  column 1 ');
});

test('missing values go their way through trees, and are refused by other models', async () => {
  const holed = rows.slice();
  holed[5] = Number.NaN;
  await writeFile(file('holed.csv'), csv(names, holed).replaceAll('NaN', ''));
  const args = ['--data', 'holed.csv', '--background', 'usual.csv', '--out', file('d')];
  expect(await run('--model', 'trees.onnx', ...args)).toMatchObject({ code: 0 });
  const { code, stderr } = await run('--model', 'net.onnx', ...args);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^VALUES_NOT_FINITE: .* row 2, column "hold pressure \[bar\]", .* holds NaN/);
});

test('any model is explained by all coalitions, and sampled ones agree where they are all', async () => {
  const args = ['--model', 'net.onnx', '--data', 'x.csv', '--background', 'usual.csv'];
  const exact = await run(...args, '--out', file('e'), '--method', 'exact', '--json');
  await run(...args, '--out', file('f'), '--method', 'kernel');
  expect(JSON.parse(exact.stdout)).toMatchObject({ method: 'exact', outputs: 2 });
  const [want, got] = [await load('e', 'shap_values.npy'), await load('f', 'shap_values.npy')];
  expectClose(got.data as Float64Array, want.data as Float64Array, { atol: 1e-10 });
});

test('a network is explained by DeepLIFT unless another method is asked for', async () => {
  const args = ['--model', 'net.onnx', '--data', 'x.csv', '--background', 'usual.csv', '--out', file('deep')];
  const [chosen, all] = [await run(...args), await run(...args, '--method', 'deep', '--json')];
  expect({ code: chosen.code, stderr: chosen.stderr }).toEqual({ code: 0, stderr: '' });
  expect(chosen.stdout).toMatch(
    /^method deep: .*\nchosen because every operator of the network has a DeepLIFT rule; exact/,
  );
  expect(JSON.parse(all.stdout)).toMatchObject({ method: 'deep', outputs: 2, additivityGap: expect.closeTo(0, 5) });
  expect(JSON.parse(all.stdout)).not.toHaveProperty('reason');
  const values = (await load('deep', 'shap_values.npy')).data as Float64Array;
  await run(...args, '--method', 'deep', '--target', '1');
  const second = (await load('deep', 'shap_values.npy')).data as Float64Array;
  expectClose(
    second,
    values.filter((_, i) => i % 2 === 1),
  );
  const without = await run('--model', 'net.onnx', '--data', 'x.csv', '--method', 'deep', '--out', file('deep'));
  expect(without).toMatchObject({ code: 2, stderr: expect.stringMatching(/^ARGUMENT_INVALID: Expected --background/) });
  const third = await run(...args, '--method', 'deep', '--target', '2');
  expect(third).toMatchObject({ code: 2, stderr: expect.stringMatching(/from 0 to 1 for --target/) });
});

test('columns are matched with the inputs of a model by their names', async () => {
  const order = [2, 0, 3, 1];
  const shuffled = rows.map((_, i) => rows[Math.floor(i / D) * D + order[i % D]!]!);
  await writeFile(
    file('shuffled.csv'),
    csv(
      order.map((j) => names[j]!),
      shuffled,
    ),
  );
  const args = ['--model', 'named.onnx', '--background', 'usual.csv'];
  await run(...args, '--data', 'shuffled.csv', '--out', file('g'));
  await run(...args, '--data', 'x.csv', '--out', file('h'));
  const [got, want] = [await load('g', 'shap_values.npy'), await load('h', 'shap_values.npy')];
  expectClose(got.data as Float64Array, want.data as Float64Array);
  const header = (await readFile(join(file('g'), 'attributions.csv'), 'utf8')).split('\n')[0];
  expect(header).toBe(['part', 'prediction', 'expected value', ...names].join(','));
  await writeFile(file('renamed.csv'), csv(['temperature', ...names.slice(1)], rows));
  const { code, stderr } = await run('--model', 'named.onnx', '--data', 'renamed.csv', '--out', file('i'));
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^MODEL_INPUT_MISMATCH: .* it lacks melt_temperature___C_ and the model does not know temperature\n/,
  );
});

test('images keep their axes', async () => {
  const data = float32(2 * 6, (i) => Math.sin(i));
  await writeFile(file('images.npy'), writeNpy({ dtype: 'float32', shape: [2, 1, 2, 3], data }));
  await writeFile(file('dark.npy'), writeNpy({ dtype: 'float32', shape: [1, 1, 2, 3], data: new Float32Array(6) }));
  const { code, stdout } = await run(
    '--model',
    'images.onnx',
    '--data',
    'images.npy',
    '--background',
    'dark.npy',
    '--out',
    file('j'),
    '--json',
  );
  expect({ code, files: JSON.parse(stdout).files.length }).toEqual({ code: 0, files: 2 });
  const { shape, data: values } = await load('j', 'shap_values.npy');
  expect(shape).toEqual([2, 1, 2, 3]);
  expectClose(
    values as Float64Array,
    data.map((value, i) => (i % 6) * value * value),
    { atol: 1e-5 },
  );
});

describe('bad input', () => {
  const cases: [args: string[], code: string, says: string | RegExp][] = [
    [['--model', 'trees.onnx', '--data', 'x.csv'], 'ARGUMENT_INVALID', '--node-cover'],
    [['--model', 'net.onnx', '--data', 'x.csv'], 'ARGUMENT_INVALID', 'Expected --background'],
    [
      ['--model', 'two-outputs.onnx', '--data', 'x.csv', '--background', 'usual.csv'],
      'ARGUMENT_INVALID',
      'first, second',
    ],
    [
      ['--model', 'net.onnx', '--data', 'narrow.csv', '--background', 'narrow.csv'],
      'MODEL_INPUT_MISMATCH',
      /\(4\).*\(3\)/,
    ],
    [['--model', 'net.onnx', '--data', 'x.csv', '--background', 'turned.csv'], 'MODEL_INPUT_MISMATCH', 'column 1 is'],
    [['--model', 'net.onnx', '--data', 'x.csv', '--background', 'narrow.csv'], 'SHAPE_MISMATCH', 'narrow.csv'],
    [['--model', 'net.onnx', '--data', 'x.csv', '--background', 'empty.csv'], 'SHAPE_MISMATCH', 'empty.csv'],
    [['--model', 'net.onnx', '--data', 'flat.npy', '--background', 'usual.npy'], 'SHAPE_MISMATCH', '(4)'],
    [['--model', 'net.onnx', '--data', 'missing.csv'], 'ARGUMENT_INVALID', 'missing.csv'],
    [['--model', 'net.onnx', '--data', 'net.onnx'], 'ARGUMENT_INVALID', '.npy or .csv'],
    [['--model', 'x.csv', '--data', 'x.csv'], 'MODEL_DAMAGED', 'x.csv'],
  ];
  beforeAll(async () => {
    await writeFile(file('narrow.csv'), csv(names.slice(1), rows.slice(0, 9)));
    await writeFile(file('turned.csv'), csv([...names].reverse(), background));
    await writeFile(file('empty.csv'), `${names.join(',')}\n`);
    await writeFile(file('flat.npy'), writeNpy({ dtype: 'float32', shape: [4], data: new Float32Array(4) }));
  });

  test.each(cases)('%j is %s', async (args, code, says) => {
    const { code: exit, stdout, stderr } = await run(...args, '--out', file('never'));
    expect({ exit, stdout }).toEqual({ exit: code === 'ARGUMENT_INVALID' ? 2 : 1, stdout: '' });
    expect(stderr).toMatch(RegExp(`^${code}: .*\n$`));
    if (typeof says === 'string') expect(stderr).toContain(says);
    else expect(stderr).toMatch(says);
    await expect(readFile(join(file('never'), 'shap_values.npy'))).rejects.toThrow();
  });
});

test('a terminal is told what a golden case gives', async () => {
  const golden = resolve('test/golden/tree-shap/hgb-classifier-dependent');
  const { code, stdout } = await runCommand([
    ...['attribute', '--model', resolve('test/golden/nets/tree-hgb-classifier.onnx'), '--data', join(golden, 'x.npy')],
    ...['--node-cover', join(golden, 'node_cover.npy'), '--out', file('k')],
  ]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^method tree: margin of probabilities, 6 rows, 5 columns, \d+\.\d s\n/);
  const want = readNpy(await readFile(join(golden, 'phi.npy')));
  expectClose((await load('k', 'shap_values.npy')).data as Float64Array, want.data as Float32Array, {
    atol: 2e-5,
    rtol: 1e-3,
  });
});

describe('--plots', () => {
  const common = ['--model', 'trees.onnx', '--data', 'x.csv', '--background', 'usual.csv'];

  test('writes the pictures on light and dark ground, and a page that shows them', async () => {
    const { code, stdout, stderr } = await run(...common, '--out', file('p'), '--row', '2', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { plots } = JSON.parse(stdout);
    expect(plots).toMatchObject({ row: 2, output: 1 });
    const written = (await readdir(file('p'))).map((name) => join(file('p'), name));
    const pictures = plots.files.filter((path: string) => /\.(svg|png)$/.test(path));
    expect(written.filter((path) => !/\.(npy|csv)$/.test(path)).sort()).toEqual([...plots.files].sort());
    expect(pictures).toHaveLength(4 * (3 + D));
    for (const path of pictures) expect((await sharp(path).metadata()).width).toBeGreaterThan(600);
    expect(pictures).toContain(join(file('p'), 'waterfall-2-dark.png'));
    const importances: string[] = JSON.parse(stdout).importance.map(({ name }: { name: string }) => name);
    expect(pictures.some((path: string) => /dependence-01-[A-Za-z_]+-dark\.svg$/.test(path))).toBe(true);
    const [bars, page] = await Promise.all(
      ['summary-bar.svg', 'index.html'].map((name) => readFile(join(file('p'), name), 'utf8')),
    );
    for (const name of importances) expect(bars).toContain(name);
    for (const path of pictures.filter((path: string) => /(?<!-dark)\.svg$/.test(path))) {
      expect(page).toContain(`src="${basename(path)}"`);
    }
    const waterfall = await readFile(join(file('p'), 'waterfall-2.svg'), 'utf8');
    expect(waterfall).toContain('K2 (row 2)');
    expect(waterfall).toContain('output 1 of scores');
  });

  test('shows the row whose prediction is farthest from what is usual, and says which output', async () => {
    const { stdout } = await run(...common, '--out', file('q'), '--plots', '--target', '0');
    const lines = (await readFile(join(file('q'), 'attributions.csv'), 'utf8')).trim().split('\n').slice(1);
    const distances = lines.map((line) => {
      const [, prediction, expected] = line.split(',').map(Number);
      return Math.abs(prediction! - expected!);
    });
    const farthest = distances.indexOf(Math.max(...distances)) + 1;
    expect(stdout).toContain(
      `wrote ${file('q')}/index.html and ${4 * (3 + D)} pictures: waterfall of row ${farthest}\n`,
    );
    expect(await readFile(join(file('q'), 'beeswarm.svg'), 'utf8')).toContain('SHAP value (output 0 of scores)');
    const both = await run(...common, '--out', file('r'), '--plots');
    expect(both.stdout).toContain('pictures: output 1 (--target shows another), waterfall of row ');
  });

  test.each([
    [['--row', '7'], 'ARGUMENT_INVALID: Expected a number from 1 to 6 for --row but received 7'],
    [['--top', '201'], 'ARGUMENT_INVALID: Expected a number from 1 to 200 for --top but received 201'],
  ])('%s is refused before anything is explained', async (args, message) => {
    const { code, stderr } = await run(...common, '--out', file('no-plots'), ...args);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
    await expect(readdir(file('no-plots'))).rejects.toThrow('ENOENT');
  });

  test('images have no such pictures', async () => {
    await writeFile(file('image.npy'), writeNpy({ dtype: 'float64', shape: [2, 1, 2, 3], data: new Float64Array(12) }));
    const { code, stderr } = await run(
      ...['--model', 'images.onnx', '--data', 'image.npy', '--background', 'image.npy', '--out', file('s'), '--plots'],
    );
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `SHAPE_MISMATCH: Expected rows of one axis for --plots but those of ${file('image.npy')} are (1, 2, 3): patchline explain draws images\n`,
    });
  });
});

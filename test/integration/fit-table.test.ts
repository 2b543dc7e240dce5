import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../src/shared/kernels/random.js';
import { inspectionIdOf, resultKey } from '../../src/shared/keys.js';
import { readNpy } from '../../src/shared/npy.js';
import { putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { writeTable } from '../../src/shared/tables/csv-table.js';
import { runCommand, runHere } from '../helpers/command-line.js';
import { processColumns, processRows, scrapOf } from '../helpers/process-tables.js';
import { scoredResult } from '../helpers/scored-result.js';

const target = 'scrap [%]';
const rows = processRows(160);
const random = createRandom(8);
const scrap = rows.map((row) => scrapOf(row) + random.normal());
const driver = 'hold pressure [bar]';

let root: string;
const file = (name: string) => join(root, name);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-fit-table-'));
  await writeFile(
    file('press.csv'),
    writeTable([['part', target, ...processColumns], ...rows.map((row, i) => [`K${i}`, scrap[i]!, ...row])]),
  );
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function fitJson(out: string, ...args: string[]) {
  const { code, stdout, stderr } = await runHere(['fit-table', ...args, '--out', file(out), '--json']);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: args.includes('--from-inspections') ? 'reading the results of plate\n' : '',
  });
  return JSON.parse(stdout);
}

const forest = () =>
  fitJson('forest.onnx', file('press.csv'), '--target', target, '--model', 'forest', '--trees', '12');

describe('a forest', () => {
  test('comes with all that its explanation needs, which names the driver of a known process', async () => {
    const card = await forest();
    expect(card).toMatchObject({ model: 'forest', task: 'regression', rows: 160, seed: 0, warnings: [] });
    expect(card.settings).toEqual({ trees: 12, rowsOfTree: 160 });
    expect(card.leftOut).toEqual([{ column: 'part', reason: 'the first column names the rows' }]);
    expect(card.heldOut.measures.r2.value).toBeGreaterThan(0.8);
    expect(card.drivers[0]).toMatchObject({ name: driver, effect: 'raises' });
    expect(card.drivers[1]).toMatchObject({ name: processColumns[0], effect: 'raises' });
    expect(card.files).toEqual(
      ['onnx', 'background.csv', 'card.json', 'card.md', 'node-cover.npy'].map((end) => file(`forest.${end}`)),
    );
    const { files: _, ...kept } = card;
    expect(JSON.parse(await readFile(file('forest.card.json'), 'utf8'))).toEqual(kept);
    const text = await readFile(file('forest.card.md'), 'utf8');
    expect(text).toMatch(
      /\n1\. hold pressure \[bar\]: moves the prediction by \S+ on average; a higher value raises it\n/,
    );
    expect((await readFile(file('forest.background.csv'), 'utf8')).split('\n')).toHaveLength(1 + 100 + 1);
  });

  test('is attributed with its usual rows, or by its node cover, to columns of any order', async () => {
    await forest();
    const shuffled = rows.slice(0, 5).map(([a, b, c, d], i) => [`K${i}`, 'acme', d!, '', b!, a!, c!]);
    const [a, b, c, d] = processColumns as [string, string, string, string];
    await writeFile(file('day.csv'), writeTable([['part', 'supplier', d, target, b, a, c], ...shuffled]));
    const common = ['attribute', '--model', file('forest.onnx'), '--json'];
    const attributed = await runCommand([...common, '--data', file('day.csv'), '--out', file('day')]);
    expect(attributed.code).toBe(0);
    expect(attributed.stderr).toBe(
      `comparing with the usual rows beside the model, ${file('forest.background.csv')}: --background takes others\n`,
    );
    const report = JSON.parse(attributed.stdout);
    expect(report).toMatchObject({ method: 'tree', output: 'prediction', rows: 5, features: 4 });
    expect(report.importance[0].name).toBe(driver);
    await runHere([...common, '--data', file('press.csv'), '--out', file('whole')]);
    const load = async (out: string) =>
      readNpy(await readFile(join(file(out), 'shap_values.npy'))).data as Float64Array;
    expect([...(await load('day'))]).toEqual([...(await load('whole')).subarray(0, 5 * 4)]);
    const header = (await readFile(join(file('day'), 'attributions.csv'), 'utf8')).split('\n')[0];
    expect(header).toBe(['part', 'prediction', 'expected value', ...processColumns].join(','));
    const cover = ['--node-cover', file('forest.node-cover.npy')];
    const byCover = await runHere([...common, '--data', file('press.csv'), ...cover, '--out', file('cover')]);
    expect({ code: byCover.code, stderr: byCover.stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(byCover.stdout).importance[0].name).toBe(driver);
  });

  test('refuses a table that lacks one of its columns', async () => {
    await forest();
    await writeFile(file('narrow.csv'), writeTable([processColumns.slice(1), rows[0]!.slice(1)]));
    const { code, stderr } = await runHere([
      'attribute',
      '--model',
      file('forest.onnx'),
      '--data',
      file('narrow.csv'),
      '--out',
      file('never'),
    ]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^MODEL_INPUT_MISMATCH: .* lacks melt temperature \[°C\]\n/),
    ]);
  });
});

test('a perceptron of classes takes missing values, and is the same for the same seed', async () => {
  const holed = rows.map((row, i) => [scrap[i]! > 0 ? 'scrap' : 'sound', ...row.map((x, j) => ((i + j) % 9 ? x : ''))]);
  await writeFile(file('classes.csv'), writeTable([['outcome', ...processColumns], ...holed]));
  const args = [file('classes.csv'), '--target', 'outcome', '--model', 'mlp', '--hidden', '6'];
  const card = await fitJson('mlp.onnx', ...args);
  expect(card).toMatchObject({ task: 'classification', settings: { hidden: [6] } });
  expect(card.target.classes.map(({ label }: { label: string }) => label)).toEqual(['scrap', 'sound']);
  expect(card.heldOut.measures.auroc.value).toBeGreaterThan(0.85);
  expect(card.drivers[0]).toMatchObject({ name: driver, effect: 'lowers' });
  await fitJson('again.onnx', ...args);
  expect(await readFile(file('again.onnx'))).toEqual(await readFile(file('mlp.onnx')));
  expect(await readFile(file('again.card.json'))).toEqual(await readFile(file('mlp.card.json')));
  const { code, stdout } = await runHere([
    'attribute',
    '--model',
    file('mlp.onnx'),
    '--data',
    file('classes.csv'),
    '--out',
    file('m'),
    '--json',
  ]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ method: 'exact', output: 'probabilities', outputs: 2 });
  expect(JSON.parse(stdout).importance[0].name).toBe(driver);
});

describe('inspections', () => {
  const inspect = async (name: string, severityOf: (row: number[], i: number) => number) => {
    await mkdir(file(name));
    const store = await openStore(file(name));
    for (const [i, row] of rows.slice(0, 100).entries()) {
      const severity = severityOf(row, i);
      const process = Object.fromEntries(processColumns.map((column, j) => [column, row[j]!]));
      const result = { ...scoredResult, imageKey: `images/${i}`, severity, process };
      const inspectionId = inspectionIdOf(result.imageKey, result.product, result.bundle, result.capturedAt);
      await putJson(store, resultKey(inspectionId), { ...result, inspectionId });
    }
    return file(name);
  };
  const args = ['--from-inspections', '--product', 'plate', '--model', 'forest', '--trees', '10'];

  test('tell which setting drives their severity', async () => {
    const store = await inspect('driven', (row) => 10 * scrapOf(row));
    const { code, stdout } = await runHere([
      'fit-table',
      ...args,
      '--store',
      store,
      '--out',
      file('new/folder/severity.onnx'),
    ]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^regression of severity, .* from 4 columns and 100 rows of inspections of plate\n/);
    expect(stdout).toMatch(/\nwhat drives severity:\n {2}hold pressure \[bar\] .*; a higher value raises it\n/);
    expect(stdout).not.toContain('warning');
  });

  test('are told apart from chance', async () => {
    const noise = createRandom(4);
    const store = await inspect('blind', () => noise.normal());
    const card = await fitJson('blind.onnx', ...args, '--store', store);
    expect(card.warnings).toEqual([expect.stringMatching(/no better than one that knows none of the columns/)]);
  });

  test('without process data are refused', async () => {
    const store = await inspect('none', () => 0);
    const { code, stderr } = await runHere([
      'fit-table',
      ...args.with(2, 'other'),
      '--store',
      store,
      '--out',
      file('none.onnx'),
    ]);
    expect([code, stderr]).toEqual([
      1,
      'reading the results of other\nTABLE_UNSUITABLE: Expected in inspections of other process data, sent with the images, but there are no such inspections\n',
    ]);
  });
});

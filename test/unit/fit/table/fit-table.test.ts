import { afterAll, expect, test } from 'vitest';
import { fitTable, type Learner } from '../../../../src/fit/table/fit-table.js';
import type { MlpTraining } from '../../../../src/fit/table/mlp.js';
import { type Compute, createCompute } from '../../../../src/shared/compute.js';
import { processRows, scrapOf, trainingTable } from '../../../helpers/process-tables.js';

const threads = createCompute({ threads: 1 });
afterAll(() => threads.close());

const rows = processRows(40);
const learn = (table: ReturnType<typeof trainingTable>, learner: Learner, compute: Compute = threads) =>
  fitTable(table, { learner, seed: 0, compute, report: () => undefined });

test('each row is judged by one model that was trained without it, and learned from by the last', async () => {
  const inputs: MlpTraining[] = [];
  const watched: Compute = {
    ...threads,
    run: (task, input, transfer) => {
      inputs.push(input as MlpTraining);
      return threads.run(task, input, transfer);
    },
  };
  const { card } = await learn(trainingTable(rows, [...rows.keys()]), { model: 'mlp', hidden: [2] }, watched);
  expect(inputs.map(({ targets }) => targets.length)).toEqual([32, 32, 32, 32, 32, 40]);
  for (const row of rows.keys()) {
    expect(inputs.filter(({ targets }) => !targets.includes(row))).toHaveLength(1);
  }
  expect(card.heldOut.rows).toBe(40);
});

test('a card says how often a column is missing, and that rows are few', async () => {
  const holed = rows.map((row, i) => row.with(1, i % 4 ? row[1]! : Number.NaN));
  const { card, background } = await learn(trainingTable(holed, rows.map(scrapOf)), { model: 'forest', trees: 5 });
  expect(card.columns[1]).toMatchObject({ name: 'hold pressure [bar]', missing: 10 });
  expect(card.columns[0]!.missing).toBe(0);
  expect(card.warnings).toEqual([
    expect.stringMatching(/^40 rows are few for 4 columns/),
    'Often missing, with the median in their place: hold pressure [bar] (25 %)',
  ]);
  expect(background).toHaveLength(40 * 4);
});

test('the drivers of more than two classes have a size and no direction', async () => {
  const classes = rows.map((row) => (scrapOf(row) < -4 ? 0 : scrapOf(row) < 4 ? 1 : 2));
  const table = trainingTable(rows, classes, ['low', 'middle', 'high']);
  const { card } = await learn(table, { model: 'forest', trees: 5 });
  expect(card.drivers[0]!.name).toBe('hold pressure [bar]');
  expect(card.drivers.every(({ effect }) => effect === undefined)).toBe(true);
  expect(card.target.classes!.reduce((sum, { rows: count }) => sum + count, 0)).toBe(40);
});

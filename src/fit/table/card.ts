import { quantile } from '../../shared/kernels/quantile.js';
import { patchlineVersion, versionOf } from '../../shared/versions.js';
import type { Driver } from './drivers.js';
import type { Learner } from './fit-table.js';
import { mostRowsOfTree } from './forest.js';
import { type HeldOut, mayExplainNothing } from './held-out.js';
import { presentIn } from './missing-values.js';
import { type Task, type TrainingTable, taskOf } from './training-table.js';

/** What a model was fitted to and what it is worth: M.card.json. */
export interface Card {
  model: Learner['model'];
  task: Task;
  source: string;
  rows: number;
  /** Rows whose target is missing. */
  droppedRows: number;
  target: { name: string; least?: number; largest?: number; classes?: { label: string; rows: number }[] };
  columns: ColumnSummary[];
  leftOut: TrainingTable['leftOut'];
  heldOut: HeldOut;
  /** The first moves the predictions most. */
  drivers: Driver[];
  settings: { trees: number; rowsOfTree: number } | { hidden: readonly number[] };
  seed: number;
  warnings: string[];
  versions: Record<string, string>;
}

export interface ColumnSummary {
  name: string;
  least: number;
  median: number;
  largest: number;
  /** Rows without a value, for which the median stands in. */
  missing: number;
}

interface Learned {
  learner: Learner;
  seed: number;
  heldOut: HeldOut;
  drivers: Driver[];
}

export function makeCard(table: TrainingTable, { learner, seed, heldOut, drivers }: Learned): Card {
  const { source, columns, rows, target, droppedRows, leftOut } = table;
  const n = target.values.length;
  const summaries = columns.map((name, j) => summarise(name, rows, columns.length, j));
  return {
    model: learner.model,
    task: taskOf(target),
    source,
    rows: n,
    droppedRows,
    target: { name: target.name, ...describeTarget(table) },
    columns: summaries,
    leftOut,
    heldOut,
    drivers,
    settings:
      learner.model === 'forest'
        ? { trees: learner.trees, rowsOfTree: Math.min(n, mostRowsOfTree) }
        : { hidden: learner.hidden },
    seed,
    warnings: warningsOf(n, summaries, heldOut),
    versions: {
      patchline: patchlineVersion,
      'onnxruntime-node': versionOf('onnxruntime-node'),
      ...(learner.model === 'forest' && { 'ml-cart': versionOf('ml-cart') }),
    },
  };
}

function summarise(name: string, rows: Float64Array, D: number, j: number): ColumnSummary {
  const present = presentIn(rows, D, j);
  const [least, median, largest] = [0, 0.5, 1].map((q) => quantile(present, q)) as [number, number, number];
  return { name, least, median, largest, missing: rows.length / D - present.length };
}

function describeTarget({ target: { values, classes } }: TrainingTable): Omit<Card['target'], 'name'> {
  if (!classes) return { least: quantile(values, 0), largest: quantile(values, 1) };
  return {
    classes: classes.map((label, k) => ({ label, rows: values.filter((value) => value === k).length })),
  };
}

const fewRows = 100;
const fewRowsOfColumn = 10;
const manyMissing = 0.2;

function warningsOf(n: number, columns: ColumnSummary[], heldOut: HeldOut): string[] {
  const holed = columns.filter(({ missing }) => missing > manyMissing * n);
  const share = ({ name, missing }: ColumnSummary) => `${name} (${Math.round((100 * missing) / n)} %)`;
  return [
    ...(mayExplainNothing(heldOut)
      ? [
          'On rows that it has not seen, the model may be no better than one that knows none of the columns: do not read ' +
            'anything into the order of the columns',
        ]
      : []),
    ...(n < Math.max(fewRows, fewRowsOfColumn * columns.length)
      ? [`${n} rows are few for ${columns.length} columns: expect another order of the columns from other rows`]
      : []),
    ...(holed.length > 0 ? [`Often missing, with the median in their place: ${holed.map(share).join(', ')}`] : []),
  ];
}

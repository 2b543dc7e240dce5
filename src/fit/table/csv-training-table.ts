import { PatchlineError } from '../../shared/errors.js';
import { suggestionFor } from '../../shared/nearest-name.js';
import { isNumber, numbersOf, readTextTable } from '../../shared/tables/csv-table.js';
import {
  assertSuitable,
  readTarget,
  rowsWithTarget,
  type Task,
  type TrainingTable,
  unsuitable,
} from './training-table.js';

export interface CsvChoice {
  target: string;
  /** Columns to leave out. */
  ignore?: readonly string[] | undefined;
  task?: Task | undefined;
}

/**
 * A process table: all columns but the target, those to ignore and an index are learned from. Rows without a target are dropped.
 *
 * @throws ARGUMENT_INVALID for a column that there is not, TABLE_UNREADABLE, TABLE_UNSUITABLE, VALUES_NOT_FINITE
 */
export function readTrainingTable(
  bytes: Uint8Array,
  source: string,
  { target, ignore = [], task }: CsvChoice,
): TrainingTable {
  const { columns: header, records, index } = readTextTable(bytes, source, { wanted: [target, ...ignore] });
  for (const [option, names] of [
    ['--target', [target]],
    ['--ignore', ignore],
  ] as const) {
    for (const name of names) assertColumn(name, option, header, source);
  }
  const columns = header.filter((column) => column !== target && !ignore.includes(column));
  const targets = records.map((record) => record[header.indexOf(target)]!);
  const kept = rowsWithTarget(targets);
  const own = kept.map((row) => records[row]!);
  for (const column of columns) assertNumeric(column, header.indexOf(column), own, source);
  const table: TrainingTable = {
    source,
    columns,
    rows: numbersOf({ columns: header, records: own }, columns, source),
    target: readTarget(
      target,
      kept.map((row) => targets[row]!),
      source,
      task,
    ),
    droppedRows: records.length - kept.length,
    leftOut: [
      ...(index ? [{ column: index.name, reason: 'the first column names the rows' }] : []),
      ...ignore.map((column) => ({ column, reason: 'asked for' })),
    ],
  };
  assertSuitable(table);
  return table;
}

function assertColumn(name: string, option: string, header: readonly string[], source: string): void {
  if (header.includes(name)) return;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a column of ${source} for ${option} but received ${JSON.stringify(name)}` +
      `${suggestionFor(name, header)}; its columns are ${header.join(', ')}`,
  );
}

function assertNumeric(column: string, place: number, records: readonly string[][], source: string): void {
  const row = records.findIndex((record) => !isNumber(record[place]!));
  if (row < 0) return;
  throw unsuitable(
    source,
    `numbers to learn from but column ${JSON.stringify(column)} holds ${JSON.stringify(records[row]![place])}: ` +
      `--ignore ${JSON.stringify(column)} leaves it out`,
  );
}

import { PatchlineError } from '../../shared/errors.js';
import { isMissing, isNumber } from '../../shared/tables/csv-table.js';

// n rows, D columns.

/** What a model is fitted to. */
export interface TrainingTable {
  /** What errors and the card call it. */
  source: string;
  /** (D), with units. */
  columns: string[];
  /** (n, D); a missing value is NaN. */
  rows: Float64Array<ArrayBuffer>;
  target: Target;
  /** Rows whose target is missing. */
  droppedRows: number;
  /** Columns that are not learned from, and why. */
  leftOut: { column: string; reason: string }[];
}

export interface Target {
  name: string;
  /** (n): numbers, or places in `classes`. */
  values: Float64Array<ArrayBuffer>;
  /** Only of a classification. */
  classes?: string[];
}

export const tasks = ['regression', 'classification'] as const;
export type Task = (typeof tasks)[number];
export const taskOf = ({ classes }: Target): Task => (classes ? 'classification' : 'regression');

const leastRows = 20;
const mostClasses = 50;
const leastRowsOfClass = 5;

/**
 * The target of texts without missing ones. Unless `task` says otherwise, two or more words are classes, 0 and 1 too, other
 * numbers are values.
 *
 * @throws TABLE_UNSUITABLE
 */
export function readTarget(name: string, texts: readonly string[], source: string, task?: Task): Target {
  const different = [...new Set(texts)];
  const word = different.find((text) => !isNumber(text));
  const numbers = new Set(different.map(Number));
  const isBinary = numbers.size === 2 && numbers.has(0) && numbers.has(1);
  const chosen = task ?? (word !== undefined || isBinary ? 'classification' : 'regression');
  if (chosen === 'classification') return classTarget(name, texts, word === undefined, source);
  if (word === undefined) return { name, values: Float64Array.from(texts, Number) };
  throw unsuitable(source, `numbers in ${JSON.stringify(name)} for a regression but one is ${JSON.stringify(word)}`);
}

function classTarget(name: string, texts: readonly string[], areNumbers: boolean, source: string): Target {
  const labelOf = (text: string) => (areNumbers ? String(Number(text)) : text);
  const labels = texts.map(labelOf);
  const classes = [...new Set(labels)].sort((a, b) => (areNumbers ? Number(a) - Number(b) : a < b ? -1 : 1));
  if (classes.length > mostClasses) {
    throw unsuitable(source, `at most ${mostClasses} classes in ${JSON.stringify(name)} but it has ${classes.length}`);
  }
  const places = new Map(classes.map((label, place) => [label, place]));
  return { name, values: Float64Array.from(labels, (label) => places.get(label)!), classes };
}

/** @throws TABLE_UNSUITABLE where no model can be fitted, VALUES_NOT_FINITE where a value is too large for float32 */
export function assertSuitable({ source, columns, rows, target }: TrainingTable): void {
  const n = target.values.length;
  const named = JSON.stringify(target.name);
  if (n < leastRows) {
    throw unsuitable(source, `at least ${leastRows} rows with a value in ${named} but there are ${n}`);
  }
  if (columns.length === 0) throw unsuitable(source, `a column to learn from beside ${named}`);
  if (target.values.every((value) => value === target.values[0])) {
    throw unsuitable(source, `a target that varies but ${named} is the same in all ${n} rows`);
  }
  for (const [k, label] of (target.classes ?? []).entries()) {
    const count = target.values.filter((value) => value === k).length;
    if (count < leastRowsOfClass) {
      throw unsuitable(
        source,
        `at least ${leastRowsOfClass} rows of each class of ${named} but ${JSON.stringify(label)} has ${count}`,
      );
    }
  }
  const constant = columns.find((_, j) => isConstant(rows, columns.length, j));
  if (constant !== undefined) {
    const column = JSON.stringify(constant);
    throw unsuitable(source, `columns that vary but ${column} does not: --ignore ${column} leaves it out`);
  }
  assertFloats(source, columns, rows);
}

/** Whether a column holds fewer than two different numbers. */
export function isConstant(rows: Float64Array, D: number, j: number): boolean {
  let first: number | undefined;
  for (let i = j; i < rows.length; i += D) {
    const value = Math.fround(rows[i]!);
    if (Number.isNaN(value)) continue;
    first ??= value;
    if (value !== first) return false;
  }
  return true;
}

/** Models take float32. */
function assertFloats(source: string, columns: string[], rows: Float64Array): void {
  const D = columns.length;
  const wrong = rows.findIndex((value) => Math.abs(Math.fround(value)) === Number.POSITIVE_INFINITY);
  if (wrong < 0) return;
  throw new PatchlineError(
    'VALUES_NOT_FINITE',
    `Expected numbers that fit float32 in ${source} but row ${Math.floor(wrong / D) + 1}, column ` +
      `${JSON.stringify(columns[wrong % D])}, holds ${rows[wrong]}`,
  );
}

export const rowsWithTarget = (texts: readonly string[]): number[] =>
  [...texts.keys()].filter((row) => !isMissing(texts[row]!));

/** `fault` completes "Expected in FILE …". */
export const unsuitable = (source: string, fault: string): PatchlineError =>
  new PatchlineError('TABLE_UNSUITABLE', `Expected in ${source} ${fault}`);

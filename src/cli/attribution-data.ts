import { readFile } from 'node:fs/promises';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { readNpy } from '../shared/npy.js';
import { placeOfName } from '../shared/process-data.js';
import { numbersOf, readTable, readTextTable } from '../shared/tables/csv-table.js';

/** Rows from a .npy or .csv file. */
export interface RowsFile {
  path: string;
  /** (n, …axes); a missing value is NaN. */
  rows: Float64Array<ArrayBuffer>;
  axes: number[];
  /** Names of the columns, which only a table has. */
  columns?: string[];
  index?: { name: string; labels: string[] };
}

/**
 * @param D number of features, where the model fixes it
 * @param features their names, where the model says them: other columns of a table are left out, and may hold text
 * @throws ARGUMENT_INVALID, ARRAY_UNREADABLE, TABLE_UNREADABLE; SHAPE_MISMATCH where there are no rows; MODEL_INPUT_MISMATCH where
 *   a table lacks a feature
 */
export async function readRows(path: string, option: string, D?: number, features?: string[]): Promise<RowsFile> {
  const isTable = /\.csv$/i.test(path);
  if (!isTable && !/\.npy$/i.test(path)) throw usage(`Expected a .npy or .csv file for ${option} but received ${path}`);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw usage(`Expected a file for ${option} but ${messageOf(cause)}`);
  });
  if (isTable) {
    const { columns, rows, index } = features ? readFeatures(bytes, path, features) : readTable(bytes, path, D);
    if (rows.length === 0) throw noRows(path, `(0, ${columns.length})`);
    return { path, rows, axes: [columns.length], columns, index };
  }
  const { data, shape } = readNpy(bytes, path);
  if (shape.length < 2 || data.length === 0) throw noRows(path, `(${shape.join(', ')})`);
  return { path, rows: Float64Array.from(data as ArrayLike<number>, Number), axes: shape.slice(1) };
}

/** The named columns of a table, in the order of the names. */
function readFeatures(bytes: Uint8Array, path: string, features: string[]) {
  const table = readTextTable(bytes, path, { wanted: features });
  const absent = features.filter((name) => !table.columns.includes(name));
  if (absent.length > 0) {
    throw new PatchlineError(
      'MODEL_INPUT_MISMATCH',
      `Expected the columns ${features.join(', ')} in ${path}, as the model calls them, but it lacks ${absent.join(', ')}`,
    );
  }
  return { columns: features, rows: numbersOf(table, features, path), index: table.index };
}

/** A number for each node of the trees. */
export async function readNodeCover(path: string): Promise<Float64Array> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw usage(`Expected a .npy file for --node-cover but ${messageOf(cause)}`);
  });
  return Float64Array.from(readNpy(bytes, path).data as ArrayLike<number>, Number);
}

const noRows = (path: string, shape: string) =>
  new PatchlineError('SHAPE_MISMATCH', `Expected rows (n, features) in ${path} but received ${shape}`);

const usage = (message: string) => new PatchlineError('ARGUMENT_INVALID', message);

/**
 * The rows with their columns in the order of `names`, the inputs of a model that has one for each column. Exporters replace
 * what they do not like in names by underscores, so that these count as equal.
 *
 * @throws MODEL_INPUT_MISMATCH naming the columns that are missing, or are none of the model's
 */
export function inOrderOf(names: readonly string[], file: RowsFile): RowsFile {
  const { columns, rows, path } = file;
  if (columns === undefined) return file;
  const places = names.map((name) => placeOfName(columns, name));
  const absent = names.filter((_, place) => places[place] === -1);
  const unknown = columns.filter((_, place) => !places.includes(place));
  if (absent.length > 0 || unknown.length > 0) {
    throw new PatchlineError(
      'MODEL_INPUT_MISMATCH',
      `Expected the columns ${names.join(', ')} in ${path}, as the model's inputs are called, but ${[
        ...(absent.length > 0 ? [`it lacks ${absent.join(', ')}`] : []),
        ...(unknown.length > 0 ? [`the model does not know ${unknown.join(', ')}`] : []),
      ].join(' and ')}`,
    );
  }
  const D = columns.length;
  const ordered = rows.map((_, i) => rows[Math.floor(i / D) * D + places[i % D]!]!);
  return { ...file, rows: ordered, columns: places.map((place) => columns[place]!) };
}

/** Two files must have the same columns in the same order: which of two orders is the model's is not known. */
export function assertSameColumns(data: RowsFile, background: RowsFile): void {
  if (data.axes.join() !== background.axes.join()) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected rows of one shape in ${data.path} and ${background.path} but received (${data.axes.join(', ')}) in one ` +
        `and (${background.axes.join(', ')}) in the other`,
    );
  }
  const place = data.columns?.findIndex((column, j) => column !== (background.columns?.[j] ?? column)) ?? -1;
  if (place < 0) return;
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected the same columns in ${data.path} and ${background.path} but column ${place + 1} is ` +
      `${JSON.stringify(data.columns![place])} in one and ${JSON.stringify(background.columns![place])} in the other`,
  );
}

/** Missing values may stand only where the model knows what to do with them; infinities may not. */
export function assertValues({ rows, axes, columns, path }: RowsFile, takesMissing: boolean): void {
  const D = axes.reduce((product, size) => product * size, 1);
  const wrong = rows.findIndex(
    (value) => !(Number.isFinite(Math.fround(value)) || (takesMissing && Number.isNaN(value))),
  );
  if (wrong < 0) return;
  const [row, j] = [Math.floor(wrong / D), wrong % D];
  const column = columns ? JSON.stringify(columns[j]) : String(j + 1);
  throw new PatchlineError(
    'VALUES_NOT_FINITE',
    `Expected finite numbers for the model but row ${row + 1}, column ${column}, of ${path} holds ${rows[wrong]}` +
      `${Number.isNaN(rows[wrong]) ? ': only trees and models with an Imputer or IsNaN know what to do with a missing value' : ''}`,
  );
}

import { CsvError, parse } from 'csv-parse/sync';
import { messageOf, PatchlineError } from '../errors.js';

/** Rows of numbers under names. */
export interface Table {
  /** (D), as they stand in the file, with units. */
  columns: string[];
  /** (n, D); a missing value is NaN. */
  rows: Float64Array<ArrayBuffer>;
  /** A first column that names the rows and is no feature. */
  index?: { name: string; labels: string[] };
}

const missing = /^(nan|na|n\/a|null)?$/i;
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
export const isMissing = (text: string): boolean => missing.test(text);
/** Whether a cell holds a number or is missing. */
export const isNumber = (text: string): boolean => missing.test(text) || number.test(text);

/** Cells under names, as they stand in a file. */
export interface TextTable {
  columns: string[];
  /** (n), each of one text for each column. */
  records: string[][];
  index?: Table['index'];
}

/**
 * A CSV file with a line of column names, separated by comma, semicolon or tab, as UTF-8. Empty, NaN, NA and null are missing
 * values. The first column is an index where it has no name or holds text, or where it is called id or index and there is one
 * column more than `D`.
 *
 * @param name what errors call the file @param D number of features, where it is known
 * @throws TABLE_UNREADABLE naming line and column
 */
export function readTable(bytes: Uint8Array, name: string, D?: number): Table {
  const { columns, records, index } = readTextTable(bytes, name, { D });
  const rows = numbersOf({ columns, records }, columns, name);
  return { columns, rows, ...(index && { index }) };
}

/**
 * The same without a look at the cells.
 *
 * @param wanted columns that are no index, wherever they stand
 * @throws TABLE_UNREADABLE
 */
export function readTextTable(
  bytes: Uint8Array,
  name: string,
  { D, wanted = [] }: { D?: number; wanted?: readonly string[] } = {},
): TextTable {
  const [header = [], ...records] = readRecords(bytes, name);
  if (header.every((heading) => number.test(heading))) {
    throw unreadable(name, `a line of column names but its first line is ${header.join(', ') || 'empty'}`);
  }
  const isIndexed = !wanted.includes(header[0]!) && hasIndex(header, records, D);
  const columns = isIndexed ? header.slice(1) : header;
  assertNames(columns, name);
  if (!isIndexed) return { columns, records };
  const labels = records.map(([label]) => label!);
  return {
    columns,
    records: records.map((record) => record.slice(1)),
    index: { name: header[0] || 'row', labels },
  };
}

/**
 * Some columns of a table: (n, wanted).
 *
 * @throws TABLE_UNREADABLE naming the first cell that holds no number
 */
export function numbersOf(
  { columns, records }: Pick<TextTable, 'columns' | 'records'>,
  wanted: readonly string[],
  name: string,
): Float64Array<ArrayBuffer> {
  const places = wanted.map((column) => columns.indexOf(column));
  const rows = new Float64Array(records.length * wanted.length);
  for (const [row, record] of records.entries()) {
    for (const [j, place] of places.entries()) {
      const text = record[place]!;
      if (!isNumber(text)) {
        throw unreadable(
          name,
          `a number in row ${row + 1}, column ${JSON.stringify(wanted[j])}, but it holds ${JSON.stringify(text)}`,
        );
      }
      rows[row * wanted.length + j] = isMissing(text) ? Number.NaN : Number(text);
    }
  }
  return rows;
}

function readRecords(bytes: Uint8Array, name: string): string[][] {
  try {
    return parse(bytes, { bom: true, delimiter: delimiterOf(bytes), skip_empty_lines: true, trim: true });
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new PatchlineError('TABLE_UNREADABLE', `Expected a CSV file in ${name} but ${messageOf(cause)}`, { cause });
  }
}

/** Whichever of comma, semicolon and tab is most frequent in the first line. */
function delimiterOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(10);
  const line = new TextDecoder().decode(bytes.subarray(0, end < 0 ? bytes.length : end)).replace(/"[^"]*"/g, '');
  const count = (delimiter: string) => line.split(delimiter).length;
  return [',', ';', '\t'].reduce((best, delimiter) => (count(delimiter) > count(best) ? delimiter : best));
}

function hasIndex(header: string[], records: string[][], D: number | undefined): boolean {
  const [heading = ''] = header;
  const labels = records.map(([label]) => label!).filter((label) => !isMissing(label));
  const isText = labels.length > 0 && labels.every((label) => !number.test(label));
  const isSpare = D === undefined || header.length === D + 1;
  return header.length > 1 && (heading === '' || isText || (isSpare && /^(id|index)$/i.test(heading)));
}

function assertNames(columns: string[], name: string): void {
  const twice = columns.find((column, place) => columns.indexOf(column) !== place);
  if (twice !== undefined) throw unreadable(name, `each column name once but ${JSON.stringify(twice)} stands twice`);
}

const unreadable = (name: string, fault: string): PatchlineError =>
  new PatchlineError('TABLE_UNREADABLE', `Expected in ${name} ${fault}`);

/** A CSV file of records, the first of them the column names. */
export function writeTable(records: readonly (readonly (string | number)[])[]): string {
  const quoted = (value: string | number) => {
    const text = String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return records.map((record) => `${record.map(quoted).join(',')}\n`).join('');
}

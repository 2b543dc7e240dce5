import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { InspectionResult } from '../../shared/contracts.js';
import type { Cell, Column } from './columns.js';

/**
 * Writes rows as CSV: UTF-8, comma, CRLF, quotes where needed (RFC 4180), times in ISO 8601, nothing for what is missing.
 *
 * @returns the number of rows
 */
export async function writeCsv(
  file: string,
  columns: Column[],
  results: AsyncIterable<InspectionResult>,
): Promise<number> {
  let count = 0;
  async function* lines() {
    yield lineOf(columns.map(({ name }) => name));
    for await (const result of results) {
      yield lineOf(columns.map(({ read }) => read(result)));
      count++;
    }
  }
  await pipeline(lines, createWriteStream(file));
  return count;
}

const lineOf = (cells: Cell[]): string => `${cells.map(cellOf).join(',')}\r\n`;

function cellOf(cell: Cell): string {
  if (cell === null) return '';
  if (cell instanceof Date) return cell.toISOString();
  if (typeof cell !== 'string') return String(cell);
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell; // a spreadsheet would run it as a formula
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

import { describe, expect, test } from 'vitest';
import { type CsvChoice, readTrainingTable } from '../../../../src/fit/table/csv-training-table.js';
import { codeOf, messageOf } from '../../../../src/shared/errors.js';

const n = 30;
const lines = (header: string, record: (row: number) => string) =>
  `${[header, ...Array.from({ length: n }, (_, row) => record(row))].join('\n')}\n`;
const read = (text: string, choice: CsvChoice) =>
  readTrainingTable(new TextEncoder().encode(text), 'parts.csv', choice);
const target = (cell: (row: number) => string | number, task?: CsvChoice['task']) =>
  read(
    lines('a,y', (row) => `${row},${cell(row)}`),
    { target: 'y', task },
  ).target;

test('what is learned from is all but the target, an index and what is ignored', () => {
  const text = lines('part,y [%],supplier,temperature [°C],pressure', (row) => `K${row},${row},acme,${200 + row},`);
  const table = read(text.replace('K3,3,acme,203,', 'K3,3,acme,203,7').replace('K4,4,acme,204,', 'K4,4,acme,,8'), {
    target: 'y [%]',
    ignore: ['supplier'],
  });
  expect(table).toMatchObject({ columns: ['temperature [°C]', 'pressure'], droppedRows: 0 });
  expect([...table.rows.subarray(6, 10)]).toEqual([203, 7, Number.NaN, 8]);
  expect(table.leftOut.map(({ column }) => column)).toEqual(['part', 'supplier']);
});

test('a first column that is the target, or ignored, is no index', () => {
  const text = lines('grade,a', (row) => `${row % 2 ? 'good' : 'bad'},${row}`);
  expect(read(text, { target: 'grade' })).toMatchObject({ columns: ['a'], target: { classes: ['bad', 'good'] } });
  const parts = lines('part,a,y', (row) => `K${row},${row},${row}`);
  expect(read(parts, { target: 'y', ignore: ['part'] }).leftOut).toEqual([{ column: 'part', reason: 'asked for' }]);
});

test('rows without a target are dropped and counted', () => {
  const table = read(
    lines('a,y', (row) => `${row},${row % 10 === 0 ? 'NA' : row}`),
    { target: 'y' },
  );
  expect([table.droppedRows, table.target.values.length, table.rows[0]]).toEqual([3, 27, 1]);
});

describe('the target is', () => {
  test('of values where it holds numbers', () => {
    expect(target((row) => row / 2)).toEqual({ name: 'y', values: Float64Array.from({ length: n }, (_, i) => i / 2) });
    expect(target((row) => 1 + (row % 2)).classes).toBeUndefined();
  });
  test('of classes where it holds words, or 0 and 1', () => {
    const grades = target((row) => ['worn', 'good', 'new'][row % 3]!);
    expect(grades.classes).toEqual(['good', 'new', 'worn']);
    expect([...grades.values.subarray(0, 4)]).toEqual([2, 0, 1, 2]);
    expect(target((row) => row % 2).classes).toEqual(['0', '1']);
    expect(target((row) => ['0.0', '1'][row % 2]!).classes).toEqual(['0', '1']);
  });
  test('what is asked for', () => {
    expect(target((row) => row % 2, 'regression').classes).toBeUndefined();
    expect(target((row) => [10, 9, 2][row % 3]!, 'classification').classes).toEqual(['2', '9', '10']);
  });
});

const faults: [what: string, text: string, choice: CsvChoice, code: string, says: string][] = [
  [
    'an unknown target',
    lines('a,yield', (row) => `${row},${row}`),
    { target: 'yeld' },
    'ARGUMENT_INVALID',
    'did you mean yield?',
  ],
  [
    'an unknown column to ignore',
    lines('a,y', (row) => `${row},${row}`),
    { target: 'y', ignore: ['zz'] },
    'ARGUMENT_INVALID',
    'for --ignore but received "zz"; its columns are a, y',
  ],
  [
    'a column of words',
    lines('a,b,y', (row) => `${row},acme,${row}`),
    { target: 'y' },
    'TABLE_UNSUITABLE',
    'column "b" holds "acme": --ignore "b" leaves it out',
  ],
  [
    'a column that does not vary',
    lines('a,b,y', (row) => `${row},7,${row}`),
    { target: 'y' },
    'TABLE_UNSUITABLE',
    '"b" does not: --ignore "b"',
  ],
  ['an empty column', lines('a,b,y', (row) => `${row},,${row}`), { target: 'y' }, 'TABLE_UNSUITABLE', '"b" does not'],
  ['a name twice', lines('a,a,y', () => '1,2,3'), { target: 'y' }, 'TABLE_UNREADABLE', '"a" stands twice'],
  ['no other column', lines('y', String), { target: 'y' }, 'TABLE_UNSUITABLE', 'a column to learn from beside "y"'],
  [
    'a target that does not vary',
    lines('a,y', (row) => `${row},5`),
    { target: 'y' },
    'TABLE_UNSUITABLE',
    '"y" is the same in all 30 rows',
  ],
  [
    'too few rows with a target',
    lines('a,y', (row) => `${row},${row < 19 ? row : ''}`),
    { target: 'y' },
    'TABLE_UNSUITABLE',
    'at least 20 rows with a value in "y" but there are 19',
  ],
  [
    'a rare class',
    lines('a,y', (row) => `${row},${row < 4 ? 'bad' : 'good'}`),
    { target: 'y' },
    'TABLE_UNSUITABLE',
    '"bad" has 4',
  ],
  [
    'words for a regression',
    lines('a,y', (row) => `${row},${row === 7 ? 'high' : row}`),
    { target: 'y', task: 'regression' },
    'TABLE_UNSUITABLE',
    'one is "high"',
  ],
  [
    'a number beyond float32',
    lines('a,y', (row) => `${row === 2 ? '1e39' : row},${row}`),
    { target: 'y' },
    'VALUES_NOT_FINITE',
    'row 3, column "a", holds 1e+39',
  ],
];

test.each(faults)('%s is named', (_, text, choice, code, says) => {
  const fault = (() => {
    try {
      return read(text, choice);
    } catch (error) {
      return error;
    }
  })();
  expect(codeOf(fault)).toBe(code);
  expect(messageOf(fault)).toContain(says);
});

test('too many classes are named', () => {
  const text = `a,y\n${Array.from({ length: 400 }, (_, row) => `${row},w${row % 60}`).join('\n')}\n`;
  expect(() => read(text, { target: 'y' })).toThrow('at most 50 classes in "y" but it has 60');
});

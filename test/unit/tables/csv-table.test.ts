import { describe, expect, test } from 'vitest';
import { numbersOf, readTable, readTextTable, writeTable } from '../../../src/shared/tables/csv-table.js';

const read = (text: string, D?: number) => readTable(new TextEncoder().encode(text), 'parts.csv', D);

test('columns keep their names with units, and missing values are NaN', () => {
  const table = read('melt temperature [°C],"hold, pressure [bar]",weight\n230,,1e-3\nNaN,-4.5,NA\n.5,+2.,null\n');
  expect(table.columns).toEqual(['melt temperature [°C]', 'hold, pressure [bar]', 'weight']);
  expect([...table.rows]).toEqual([230, Number.NaN, 1e-3, Number.NaN, -4.5, Number.NaN, 0.5, 2, Number.NaN]);
  expect(table.index).toBeUndefined();
});

describe('the separator is found', () => {
  test.each([';', '\t', ','])('%j', (separator) => {
    const line = (...values: string[]) => values.join(separator);
    const table = read(`\ufeff${line('a', 'b')}\r\n${line('1', '2')}\r\n\r\n${line('3', '4')}`);
    expect([table.columns, [...table.rows]]).toEqual([
      ['a', 'b'],
      [1, 2, 3, 4],
    ]);
  });

  test('beside others in quotes', () => {
    expect(read('"a,b,c";d\n1;2\n').columns).toEqual(['a,b,c', 'd']);
  });
});

describe('an index', () => {
  test.each([
    ['without a name', ',a\n7,1\n8,2\n', 'row', ['7', '8']],
    ['of texts', 'part,a\nK1,1\nK2,2\n', 'part', ['K1', 'K2']],
    ['called id', 'ID,a\n7,1\n8,2\n', 'ID', ['7', '8']],
    ['called index', 'index,a\n7,1\n8,2\n', 'index', ['7', '8']],
  ])('%s is no feature', (_, text, name, labels) => {
    expect(read(text, 1)).toMatchObject({ columns: ['a'], index: { name, labels } });
    expect([...read(text).rows]).toEqual([1, 2]);
  });

  test('called id is a feature where the model has as many', () => {
    expect(read('id,a\n7,1\n', 2)).toMatchObject({ columns: ['id', 'a'] });
  });

  test('is only the first column, and not the only one', () => {
    expect(() => read('a,part\n1,K1\n')).toThrowError(/column "part", but it holds "K1"/);
    expect(() => read('part\nK1\n')).toThrowError(/column "part", but it holds "K1"/);
    expect(read('id\n1\n').columns).toEqual(['id']);
  });
});

const faults: [text: string, says: string | RegExp][] = [
  ['a,b\n1,2\n3\n', /line 3/],
  ['a,b\n1,2,3\n', /line 2/],
  ['a,b\n1,"2\n', /Quote/i],
  ['a,b\n1,2\n3,x\n', 'a number in row 2, column "b", but it holds "x"'],
  ['a;b\n2;1,5\n', 'row 1, column "b", but it holds "1,5"'],
  ['a,b\n1,0x10\n', 'it holds "0x10"'],
  ['a,b\n1,inf\n', 'it holds "inf"'],
  ['1,2\n3,4\n', 'a line of column names but its first line is 1, 2'],
  ['', 'a line of column names but its first line is empty'],
  ['a,b,a\n1,2,3\n', 'each column name once but "a" stands twice'],
];
test.each(faults)('%j is TABLE_UNREADABLE', (text, says) => {
  const matching = typeof says === 'string' ? expect.stringContaining(says) : expect.stringMatching(says);
  expect(() => read(text)).toThrowError(expect.objectContaining({ code: 'TABLE_UNREADABLE', message: matching }));
});

test('what is written can be read', () => {
  const text = writeTable([
    ['part', 'say "x"', 'a,b'],
    ['K1', 0.1, -1e-9],
  ]);
  expect(text).toBe('part,"say ""x""","a,b"\nK1,0.1,-1e-9\n');
  const { columns, rows } = read(text);
  expect([columns, [...rows]]).toEqual([
    ['say "x"', 'a,b'],
    [0.1, -1e-9],
  ]);
});

describe('columns that are wanted', () => {
  const table = (wanted: string[]) =>
    readTextTable(new TextEncoder().encode('part,a,maker,b\nK1,1,acme,2\nK2,,acme,4\n'), 'parts.csv', { wanted });

  test('come in the order asked for, whatever else the table holds', () => {
    expect([...numbersOf(table([]), ['b', 'a'], 'parts.csv')]).toEqual([2, 1, 4, Number.NaN]);
    expect(() => numbersOf(table([]), ['a', 'maker'], 'parts.csv')).toThrow('row 1, column "maker"');
  });

  test('are no index', () => {
    expect(table([]).index?.labels).toEqual(['K1', 'K2']);
    expect(table(['part'])).toMatchObject({ columns: ['part', 'a', 'maker', 'b'] });
    expect(table(['part']).index).toBeUndefined();
  });
});

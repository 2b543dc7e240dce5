import { PatchlineError } from '../errors.js';

/**
 * Throws SHAPE_MISMATCH unless `array` has as many values as the product of `dims`, which names each axis:
 * `expectShape('bank', bank, { M: 64, D: 24 })`.
 */
export function expectShape(name: string, array: ArrayLike<unknown>, dims: Readonly<Record<string, number>>): void {
  const lengths = Object.values(dims);
  const size = lengths.reduce((product, length) => product * length, 1);
  if (array.length === size && lengths.every((length) => Number.isInteger(length) && length >= 0)) return;
  throw new PatchlineError(
    'SHAPE_MISMATCH',
    `Expected ${size} values (${Object.keys(dims).join(', ')}) = (${lengths.join(', ')}) for ${name} but received ${array.length} values of type ${array.constructor.name}`,
  );
}

/** The number of rows of D values in a flat array. Throws SHAPE_MISMATCH where the last row is not whole. */
export function rowCount(name: string, rows: ArrayLike<unknown>, D: number): number {
  const count = Math.floor(rows.length / D);
  expectShape(name, rows, { rows: count, D });
  return count;
}

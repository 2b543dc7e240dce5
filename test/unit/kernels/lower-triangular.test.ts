import { describe, expect, test } from 'vitest';
import { invertLower, solveLower } from '../../../src/shared/kernels/lower-triangular.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

const random = createRandom(91);

describe.each([1, 2, 7, 40])('of size %i', (D) => {
  // Above the diagonal stands what must not be read.
  const L = Float64Array.from({ length: D * D }, (_, i) => {
    const [row, column] = [Math.floor(i / D), i % D];
    if (column > row) return Number.NaN;
    return column === row ? 1 + random.uniform() : random.normal() / D;
  });
  const times = (y: ArrayLike<number>) =>
    Float64Array.from({ length: D }, (_, i) => {
      let sum = 0;
      for (let j = 0; j <= i; j++) sum += L[i * D + j]! * y[j]!;
      return sum;
    });

  test('L times the solution is the right-hand side', () => {
    const x = Float64Array.from({ length: D }, random.normal);
    expectClose(times(solveLower(L, x, D)), x, { atol: 1e-12 });
  });

  test('L times the columns of its inverse gives the unit vectors', () => {
    const inverse = invertLower(L, D);
    for (let column = 0; column < D; column++) {
      const unit = Float64Array.from({ length: D }, (_, i) => Number(i === column));
      const values = Float64Array.from({ length: D }, (_, i) => inverse[i * D + column]!);
      expectClose(times(values), unit, { atol: 1e-12 });
    }
  });
});

test('another length is SHAPE_MISMATCH', () => {
  const mismatch = expect.objectContaining({ code: 'SHAPE_MISMATCH' });
  expect(() => solveLower(new Float64Array(8), new Float64Array(3), 3)).toThrowError(mismatch);
  expect(() => solveLower(new Float64Array(9), new Float64Array(2), 3)).toThrowError(mismatch);
  expect(() => invertLower(new Float64Array(8), 3)).toThrowError(mismatch);
});

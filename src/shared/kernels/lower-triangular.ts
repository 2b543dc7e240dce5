import { expectShape } from './shape.js';

// L is lower triangular (D, D) with a positive diagonal; what lies above it is never read.

/** The solution y (D) of L y = x, by forward substitution. Error: SHAPE_MISMATCH. */
export function solveLower(L: Float64Array, x: Float64Array, D: number): Float64Array<ArrayBuffer> {
  expectShape('L', L, { D, columns: D });
  expectShape('x', x, { D });
  const y = new Float64Array(D);
  for (let i = 0; i < D; i++) {
    let sum = x[i]!;
    for (let j = 0; j < i; j++) sum -= L[i * D + j]! * y[j]!;
    y[i] = sum / L[i * D + i]!;
  }
  return y;
}

/** L⁻¹ (D, D), lower triangular too. Error: SHAPE_MISMATCH. */
export function invertLower(L: Float64Array, D: number): Float64Array<ArrayBuffer> {
  expectShape('L', L, { D, columns: D });
  const inverse = new Float64Array(D * D);
  for (let column = 0; column < D; column++) {
    inverse[column * D + column] = 1 / L[column * D + column]!;
    for (let i = column + 1; i < D; i++) {
      let sum = 0;
      for (let j = column; j < i; j++) sum -= L[i * D + j]! * inverse[j * D + column]!;
      inverse[i * D + column] = sum / L[i * D + i]!;
    }
  }
  return inverse;
}

import { rowCount } from './shape.js';

// R rows of K values.

export interface QuantisedRows {
  /** (R, K) whole numbers of -63 .. 63 */
  steps: Int8Array<ArrayBuffer>;
  /** (R) a row is its steps times its scale */
  scales: Float32Array<ArrayBuffer>;
}

/** 7 bits: two products with 8-bit numbers fit the 16-bit sums of processors without 8-bit dot products. */
const largestStep = 63;

/** Rows (R, K) rounded to whole steps, each row in a scale of its own. Error: SHAPE_MISMATCH. */
export function quantiseRows(rows: Float32Array, K: number): QuantisedRows {
  const R = rowCount('rows', rows, K);
  const steps = new Int8Array(rows.length);
  const scales = new Float32Array(R);
  for (let row = 0; row < R; row++) {
    let largest = 0;
    for (let i = row * K; i < (row + 1) * K; i++) largest = Math.max(largest, Math.abs(rows[i]!));
    scales[row] = largest / largestStep;
    if (largest === 0) continue;
    for (let i = row * K; i < (row + 1) * K; i++) steps[i] = Math.round(rows[i]! / scales[row]!);
  }
  return { steps, scales };
}

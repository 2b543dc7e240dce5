import { expect } from 'vitest';

export type Values = ArrayLike<number> | BigInt64Array;

export interface Tolerance {
  atol?: number;
  rtol?: number;
}

/**
 * Fails unless every element fulfils |got - want| <= atol + rtol |want|; without a tolerance the arrays must be equal. NaN never
 * passes. The message names how many elements differ, the largest difference and where it is.
 */
export function expectClose(got: Values, want: Values, { atol = 0, rtol = 0 }: Tolerance = {}, name = 'array'): void {
  if (got.length !== want.length) expect.fail(`${name}: ${got.length} elements instead of ${want.length}`);
  let count = 0;
  let worst = 0;
  let worstDifference = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < want.length; i++) {
    const [g, w] = [Number(got[i]), Number(want[i])];
    const difference = Math.abs(g - w);
    if (g === w || (Number.isFinite(difference) && difference <= atol + rtol * Math.abs(w))) continue;
    count++;
    const size = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
    if (size > worstDifference) [worst, worstDifference] = [i, size];
  }
  if (count === 0) return;
  expect.fail(
    `${name}: ${count} of ${want.length} elements differ by more than ${atol} + ${rtol} |want|; ` +
      `the largest difference is ${worstDifference} at ${worst}: got ${got[worst]}, want ${want[worst]}`,
  );
}

/** `length` values of a function of the index, as float32. */
export const float32 = (length: number, value: (i: number) => number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length }, (_, i) => value(i));

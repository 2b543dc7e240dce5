import { expectShape } from './shape.js';

/** Mean and deviation at each of L places over arrays that come one by one. */
export interface RunningMoments {
  /** @throws SHAPE_MISMATCH for an array that is not of L values */
  add(values: ArrayLike<number>): void;
  /** (L) each; the deviation is that of the arrays themselves (population), 0 of a single one. */
  moments(): { means: Float32Array<ArrayBuffer>; deviations: Float32Array<ArrayBuffer> };
}

/** Welford's update, which does not lose digits as sums of squares do (Technometrics 4, 1962), at L places. */
export function createRunningMoments(L: number): RunningMoments {
  const means = new Float64Array(L);
  const squares = new Float64Array(L);
  let count = 0;
  return {
    add(values) {
      expectShape('values', values, { L });
      count++;
      for (let i = 0; i < L; i++) {
        const delta = values[i]! - means[i]!;
        means[i]! += delta / count;
        squares[i]! += delta * (values[i]! - means[i]!);
      }
    },
    moments: () => ({
      means: Float32Array.from(means),
      deviations: Float32Array.from(squares, (square) => Math.sqrt(square / Math.max(count, 1))),
    }),
  };
}

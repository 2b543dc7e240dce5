import { columnOf, type ShapTable } from './shap-table.js';

const mostInBin = 50;
const leastInBin = 10;

/**
 * The feature whose value goes with the effect of `feature` most, among rows where `feature` itself is nearly alike: the mean
 * size of the correlation over bins of rows in the order of `feature`, as the shap package approximates interactions.
 * Undefined where it is not twice as strong as chance would have it in bins of that size.
 */
export function strongestInteraction({ names, rows, values }: ShapTable, feature: number): number | undefined {
  const D = names.length;
  const column = columnOf(rows, D, feature);
  const effects = columnOf(values, D, feature);
  const order = [...column.keys()].filter((row) => !Number.isNaN(column[row])).sort((a, b) => column[a]! - column[b]!);
  const size = Math.max(leastInBin, Math.min(mostInBin, Math.floor(order.length / 10)));
  const bins = Array.from({ length: Math.floor(order.length / size) }, (_, bin) =>
    order.slice(bin * size, (bin + 1) * size),
  );
  let best: number | undefined;
  let most = 2 / Math.sqrt(size);
  for (let j = 0; j < D; j++) {
    if (j === feature || bins.length === 0) continue;
    const sum = bins.reduce(
      (total, bin) => total + Math.abs(correlation(bin, effects, (row) => rows[row * D + j]!)),
      0,
    );
    if (sum / bins.length <= most) continue;
    [best, most] = [j, sum / bins.length];
  }
  return best;
}

/** Pearson's, of the rows where the value is known; 0 where one of the two is constant. */
function correlation(bin: readonly number[], effects: Float64Array, valueAt: (row: number) => number): number {
  const known = bin.filter((row) => !Number.isNaN(valueAt(row)));
  if (known.length < leastInBin / 2) return 0;
  const meanOf = (read: (row: number) => number) => known.reduce((sum, row) => sum + read(row), 0) / known.length;
  const [meanX, meanY] = [meanOf(valueAt), meanOf((row) => effects[row]!)];
  let [xx, yy, xy] = [0, 0, 0];
  for (const row of known) {
    const [x, y] = [valueAt(row) - meanX, effects[row]! - meanY];
    xx += x * x;
    yy += y * y;
    xy += x * y;
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
}

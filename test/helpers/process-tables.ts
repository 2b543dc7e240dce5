import type { TrainingTable } from '../../src/fit/table/training-table.js';
import { createRandom } from '../../src/shared/kernels/random.js';

export const processColumns = ['melt temperature [°C]', 'hold pressure [bar]', 'cycle time [s]', 'shot size [cm³]'];

/** Scrap of a made-up press: it rises with the hold pressure, less so with the melt temperature, and is blind to the rest. */
export const scrapOf = ([temperature, pressure]: readonly number[]): number =>
  (pressure! - 400) / 10 + (temperature! - 230) / 5;

/** `n` settings, drawn by chance. */
export function processRows(n: number, seed = 5): number[][] {
  const random = createRandom(seed);
  return Array.from({ length: n }, () => [
    220 + 20 * random.uniform(),
    300 + 200 * random.uniform(),
    10 + 5 * random.uniform(),
    90 + 20 * random.uniform(),
  ]);
}

/** The table that such settings and a target of theirs make. */
export function trainingTable(
  rows: readonly (readonly number[])[],
  targets: readonly number[],
  classes?: string[],
): TrainingTable {
  const columns = rows[0]!.length === processColumns.length ? processColumns : rows[0]!.map((_, j) => `x${j}`);
  return {
    source: 'made-up.csv',
    columns,
    rows: Float64Array.from(rows.flat()),
    target: { name: 'scrap [%]', values: Float64Array.from(targets), ...(classes && { classes }) },
    droppedRows: 0,
    leftOut: [],
  };
}

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MethodAttribution } from '../explain/shap/attribute.js';
import { writeNpy } from '../shared/npy.js';
import { writeTable } from '../shared/tables/csv-table.js';
import type { RowsFile } from './attribution-data.js';
import type { PlotReport } from './attribution-plots.js';

export interface AttributionReport {
  method: string;
  /** Where it was chosen for the model: why. */
  reason?: string;
  /** The explained output of the model, and on which scale. */
  output: string;
  scale: string;
  rows: number;
  features: number;
  outputs: number;
  expectedValue: number[];
  additivityGap: number;
  /** Time that the explanation took, without starting and writing. */
  explainMs: number;
  /** Mean size of the attribution of each column over rows and outputs, the largest first. */
  importance: { name: string; meanSize: number }[];
  files: string[];
  /** Where --plots asks for pictures. */
  plots?: PlotReport;
}

interface Explained {
  data: RowsFile;
  /** (D) */
  names: string[];
  output: string;
  explainMs: number;
}

/** Writes shap_values.npy, expected_value.npy and, for rows of one axis, attributions.csv. */
export async function writeAttribution(
  directory: string,
  attribution: MethodAttribution,
  { data, names, output, explainMs }: Explained,
): Promise<AttributionReport> {
  const { method, reason, scale, K, values, expected, additivityGap } = attribution;
  const n = attribution.predictions.length / K;
  const shape = [n, ...data.axes, ...(K > 1 ? [K] : [])];
  const files: [name: string, bytes: Uint8Array | string][] = [
    ['shap_values.npy', writeNpy({ dtype: 'float64', shape, data: values })],
    ['expected_value.npy', writeNpy({ dtype: 'float64', shape: [K], data: expected })],
  ];
  if (data.axes.length === 1) files.push(['attributions.csv', writeTable(recordsOf(attribution, names, data.index))]);
  const paths = files.map(([name]) => join(directory, name));
  for (const [place, [, bytes]] of files.entries()) await writeFile(paths[place]!, bytes);
  return {
    method,
    ...(reason !== undefined && { reason }),
    output,
    scale,
    rows: n,
    features: names.length,
    outputs: K,
    expectedValue: [...expected],
    additivityGap,
    explainMs: Math.round(explainMs),
    importance: importanceOf(values, names, K),
    files: paths,
  };
}

/** One line for each row and output. */
function recordsOf({ values, expected, predictions, K }: MethodAttribution, names: string[], index: RowsFile['index']) {
  const D = names.length;
  const header = [index?.name ?? 'row', ...(K > 1 ? ['output'] : []), 'prediction', 'expected value', ...names];
  const records = Array.from(predictions, (prediction, i) => {
    const [row, k] = [Math.floor(i / K), i % K];
    const own = names.map((_, j) => values[(row * D + j) * K + k]!);
    return [index?.labels[row] ?? row + 1, ...(K > 1 ? [k] : []), prediction, expected[k]!, ...own];
  });
  return [header, ...records];
}

function importanceOf(values: Float64Array, names: string[], K: number): AttributionReport['importance'] {
  const sums = new Float64Array(names.length);
  for (let i = 0; i < values.length; i++) sums[Math.floor(i / K) % names.length]! += Math.abs(values[i]!);
  const count = values.length / names.length;
  return names.map((name, j) => ({ name, meanSize: sums[j]! / count })).sort((a, b) => b.meanSize - a.meanSize);
}

/** What is explained, for people. */
export const whatOf = ({ output, scale }: Pick<AttributionReport, 'output' | 'scale'>): string =>
  scale === 'output' ? output : `${scale} of ${output}`;

const shownColumns = 10;

export function describeAttribution(report: AttributionReport): string[] {
  const { method, reason, rows, features, outputs, importance, additivityGap, files, plots } = report;
  const width = Math.max(...importance.slice(0, shownColumns).map(({ name }) => name.length));
  const hidden = features - shownColumns;
  return [
    `method ${method}: ${whatOf(report)}, ${rows} rows, ${features} columns${outputs > 1 ? `, ${outputs} outputs` : ''}, ${(report.explainMs / 1000).toFixed(1)} s`,
    ...(reason === undefined ? [] : [`chosen because ${reason}`]),
    `expected value ${report.expectedValue.map((value) => value.toPrecision(6)).join(', ')}; largest gap ${additivityGap.toExponential(1)}`,
    'mean size of attributions',
    ...importance
      .slice(0, shownColumns)
      .map(({ name, meanSize }) => `  ${name.padEnd(width)}  ${meanSize.toPrecision(4)}`),
    ...(hidden > 0 ? [`  and ${hidden} more columns`] : []),
    ...files.map((file) => `wrote ${file}`),
    ...(plots ? describePlots(plots, outputs) : []),
  ];
}

function describePlots({ row, output, files }: PlotReport, outputs: number): string[] {
  const page = files.at(-1)!;
  const shown = outputs > 1 ? `output ${output} (--target shows another), ` : '';
  return [`wrote ${page} and ${files.length - 1} pictures: ${shown}waterfall of row ${row}`];
}

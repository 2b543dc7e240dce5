import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pickTarget } from '../explain/shap/attribute.js';
import type { Attribution } from '../explain/shap/attribution.js';
import { chartPng, chartSvg } from '../shared/plots/chart.js';
import { type SummaryBars, summaryBarsChart } from '../shared/plots/shap-bars.js';
import { beeswarmChart } from '../shared/plots/shap-beeswarm.js';
import { dependenceChart } from '../shared/plots/shap-dependence.js';
import { meanSizes, rankFeatures, type ShapTable } from '../shared/plots/shap-table.js';
import { shapWaterfallChart } from '../shared/plots/shap-waterfall.js';
import type { RowsFile } from './attribution-data.js';
import { attributionPage, type Picture } from './attribution-page.js';
import { createProgress } from './progress.js';

export interface PlotOptions {
  data: RowsFile;
  /** (D) */
  names: string[];
  /** What is explained, without the number of the output. */
  what: string;
  /** The explained output of several, where one was chosen. */
  target?: number;
  /** For the waterfall, from 0; default: the row whose prediction is farthest from the expected value. */
  row?: number;
  /** Features with a line of their own. */
  top: number;
}

/** Which row and which output are shown where not all can be. */
export interface PlotReport {
  row: number;
  output: number;
  files: string[];
}

const mostDependences = 6;

/** Writes each chart as SVG and PNG, on light and on dark ground, and index.html, which shows them. */
export async function writePlots(
  directory: string,
  attribution: Attribution,
  options: PlotOptions,
): Promise<PlotReport> {
  const { names, data, top } = options;
  const output = options.target ?? outputToShow(attribution);
  const table = tableOf(attribution, output, options);
  const row = options.row ?? farthestRow(table);
  const pictures: Picture[] = [
    { name: 'summary-bar', chart: summaryBarsChart(summaryOf(attribution, table, options), top) },
    { name: 'beeswarm', chart: beeswarmChart(table, top) },
    { name: `waterfall-${row + 1}`, chart: shapWaterfallChart(table, row, rowName(data, row)) },
    ...rankFeatures(meanSizes(table))
      .slice(0, mostDependences)
      .map((feature, place) => ({
        name: `dependence-${String(place + 1).padStart(2, '0')}-${safeName(names[feature]!)}`,
        chart: dependenceChart(table, feature),
      })),
  ];
  const files: string[] = [];
  const write = async (name: string, bytes: Uint8Array | string) => {
    files.push(join(directory, name));
    await writeFile(files.at(-1)!, bytes);
  };
  const progress = createProgress('drawing', pictures.length);
  for (const { name, chart } of pictures) {
    await write(`${name}.svg`, chartSvg(chart));
    await write(`${name}-dark.svg`, chartSvg(chart, 'dark'));
    await write(`${name}.png`, await chartPng(chart));
    await write(`${name}-dark.png`, await chartPng(chart, 'dark'));
    progress.tick();
  }
  progress.stop();
  await write('index.html', attributionPage(table, pictures));
  return { row: row + 1, output, files };
}

/** The second of two, which is the one of interest by custom; of more the one that the features move most. */
function outputToShow(attribution: Attribution): number {
  const { K } = attribution;
  if (K <= 2) return K - 1;
  const totals = sizesOfOutputs(attribution, 1).map(([total]) => total!);
  return totals.indexOf(Math.max(...totals));
}

function tableOf(attribution: Attribution, output: number, { names, data, what, target }: PlotOptions): ShapTable {
  const isOneOfSeveral = attribution.K > 1 || target !== undefined;
  const { values, predictions, expected } =
    attribution.K > 1 ? pickTarget(attribution, { target: output }) : attribution;
  return {
    names,
    rows: data.rows,
    values,
    predictions,
    expected: expected[0]!,
    what: isOneOfSeveral ? `output ${output} of ${what}` : what,
  };
}

/** All outputs on top of each other, where all are explained. */
function summaryOf(attribution: Attribution, table: ShapTable, { names, what }: PlotOptions): SummaryBars {
  const { K, predictions } = attribution;
  const outputs = sizesOfOutputs(attribution, names.length).map((sizes, k) => ({ label: `output ${k}`, sizes }));
  return { names, outputs, rows: predictions.length / K, what: K === 1 ? table.what : `all outputs of ${what}` };
}

/** The mean size of the values (n, D, K) of each feature, for each output; of D = 1 that of all values. */
function sizesOfOutputs({ K, values }: Attribution, D: number): Float64Array[] {
  const sizes = Array.from({ length: K }, () => new Float64Array(D));
  const share = (D * K) / values.length;
  for (let i = 0; i < values.length; i++) sizes[i % K]![Math.floor(i / K) % D]! += share * Math.abs(values[i]!);
  return sizes;
}

function farthestRow({ predictions, expected }: ShapTable): number {
  const distances = predictions.map((prediction) => Math.abs(prediction - expected));
  return distances.indexOf(distances.reduce((most, distance) => Math.max(most, distance)));
}

const rowName = ({ index }: RowsFile, row: number): string =>
  index === undefined ? `row ${row + 1}` : `${index.labels[row]} (row ${row + 1})`;

const safeName = (name: string): string => name.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60);

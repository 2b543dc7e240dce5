import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pickTarget } from '../explain/shap/attribute.js';
import type { Attribution } from '../explain/shap/attribution.js';
import { type Chart, chartPng, chartSvg } from '../shared/plots/chart.js';
import { summaryBarsChart } from '../shared/plots/shap-bars.js';
import { beeswarmChart } from '../shared/plots/shap-beeswarm.js';
import { dependenceChart } from '../shared/plots/shap-dependence.js';
import { chooseFeatures, meanSizes, type ShapTable } from '../shared/plots/shap-table.js';
import { shapWaterfallChart } from '../shared/plots/shap-waterfall.js';
import type { RowsFile } from './attribution-data.js';
import { attributionPage } from './attribution-page.js';
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

/** A chart, and the name of its files. */
export interface Picture {
  name: string;
  chart: Chart;
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
  const k = options.target === undefined ? outputToShow(attribution) : 0;
  const output = options.target ?? k;
  const table = tableOf(attribution, k, options, output);
  const row = options.row ?? farthestRow(table);
  const { shown } = chooseFeatures(meanSizes(table), mostDependences);
  const pictures: Picture[] = [
    { name: 'summary-bar', chart: summaryBarsChart(summaryOf(attribution, table, options), top) },
    { name: 'beeswarm', chart: beeswarmChart(table, top) },
    { name: `waterfall-${row + 1}`, chart: shapWaterfallChart(table, row, rowName(data, row)) },
    ...shown.slice(0, mostDependences).map((feature, place) => ({
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
function outputToShow({ K, values }: Attribution): number {
  if (K <= 2) return K - 1;
  const sizes = new Float64Array(K);
  for (let i = 0; i < values.length; i++) sizes[i % K]! += Math.abs(values[i]!);
  return sizes.indexOf(Math.max(...sizes));
}

function tableOf(attribution: Attribution, k: number, { names, data, what }: PlotOptions, output: number): ShapTable {
  const { values, predictions, expected } = attribution.K === 1 ? attribution : pickTarget(attribution, { target: k });
  const isOneOfSeveral = attribution.K > 1 || output > 0;
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
function summaryOf(attribution: Attribution, table: ShapTable, { names, what }: PlotOptions) {
  const { K, predictions } = attribution;
  const outputs = Array.from({ length: K }, (_, k) => ({
    label: `output ${k}`,
    sizes: meanSizes({ names, values: pickTarget(attribution, { target: k }).values }),
  }));
  return { names, outputs, rows: predictions.length / K, what: K === 1 ? table.what : `all outputs of ${what}` };
}

function farthestRow({ predictions, expected }: ShapTable): number {
  const distances = predictions.map((prediction) => Math.abs(prediction - expected));
  return distances.indexOf(distances.reduce((most, distance) => Math.max(most, distance)));
}

const rowName = ({ index }: RowsFile, row: number): string =>
  index === undefined ? `row ${row + 1}` : `${index.labels[row]} (row ${row + 1})`;

const safeName = (name: string): string => name.replace(/[^A-Za-z0-9._-]+/g, '_').slice(0, 60);

import { writeFile } from 'node:fs/promises';
import { type Chart, chartPng, chartSvg } from '../shared/plots/chart.js';

/** Writes a chart as .svg and as .png. @param path without either */
export async function writeChart(chart: Chart, path: string): Promise<void> {
  await writeFile(`${path}.svg`, chartSvg(chart));
  await writeFile(`${path}.png`, await chartPng(chart));
}

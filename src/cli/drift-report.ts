import { mkdir, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { indexChart, severityChart } from './drift-charts.js';
import type { DriftReport } from './drift-lines.js';
import { type CameraSection, driftPage } from './drift-page.js';
import { writeChart } from './write-chart.js';

/**
 * Writes a folder that opens from disk: report.html over two charts of each camera, each .svg and .png, and report.json.
 *
 * @returns the path of the page
 */
export async function writeDriftReport(report: DriftReport, directory: string): Promise<string> {
  await mkdir(resolve(directory), { recursive: true });
  await writeFile(resolve(directory, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
  const sections: CameraSection[] = [];
  for (const camera of new Set(report.days.map((day) => day.camera))) {
    const days = report.days.filter((day) => day.camera === camera);
    const cameraDays = { product: report.product, camera: camera ?? 'none', days };
    const charts = { severity: severityChart(cameraDays), index: indexChart(cameraDays) };
    const written: CameraSection['charts'] = [];
    for (const [kind, chart] of Object.entries(charts)) {
      if (!chart) continue;
      const name = `${camera ?? '_'}-${kind}`; // no camera can be called _
      await writeChart(chart, resolve(directory, name));
      written.push({ name, text: chart.title });
    }
    sections.push({ camera: cameraDays.camera, days, charts: written });
  }
  const path = resolve(directory, 'report.html');
  await writeFile(path, driftPage(report, sections));
  return path;
}

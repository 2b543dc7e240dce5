import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pMap from 'p-map';
import type { Cursor } from '../producer/cursor.js';
import type { Tally, WorstImage } from '../producer/ingest-tally.js';
import { overlayKey } from '../shared/keys.js';
import { chartSvg } from '../shared/plots/chart.js';
import { thumbnailJpeg } from '../shared/plots/thumbnail.js';
import { readImage } from '../shared/read-image.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { daysChart } from './backfill-chart.js';
import { backfillPage, type Exhibit, resumedText } from './backfill-page.js';
import { durationText } from './rate-progress.js';

/** What a backfill found, as report.json has it. */
export interface BackfillReport extends Omit<Tally, 'days'> {
  source: string;
  camera: string;
  product: string;
  startedAt: string;
  finishedAt: string;
  /** How often it went on after it was broken off. */
  resumed: number;
  /** At work, without breaks. */
  seconds: number;
  imagesPerSecond: number;
  good: number;
  /** By UTC date of capture, in order. */
  days: ({ date: string } & Tally['days'][string])[];
}

export function backfillReport(cursor: Cursor, product: string): BackfillReport {
  const { source, camera, startedAt, finishedAt, resumed, activeMs, tally } = cursor;
  const { days, ...counts } = tally;
  const seconds = activeMs / 1000;
  return {
    ...{ source, camera, product, startedAt, finishedAt: finishedAt!, resumed, seconds },
    imagesPerSecond: seconds > 0 ? counts.images / seconds : 0,
    good: counts.done + counts.incomplete - counts.anomalous,
    ...counts,
    days: Object.entries(days)
      .map(([date, day]) => ({ date, ...day }))
      .sort((a, b) => (a.date < b.date ? -1 : 1)),
  };
}

export function describeBackfill(report: BackfillReport): string[] {
  const { images, good, anomalous, failed, incomplete, finished, refused, imagesPerSecond, seconds, resumed } = report;
  return [
    `${images} images in ${durationText(seconds)}, ${imagesPerSecond.toFixed(1)} images/s${resumedText(resumed)}`,
    `${good} good, ${anomalous} anomalous, ${failed} failed`,
    ...(incomplete > 0 ? [`an explanation is missing in ${incomplete} results`] : []),
    ...(finished > 0 ? [`${finished} had a result already`] : []),
    ...(refused > 0 ? [`${refused} refused`] : []),
    ...Object.entries(report.faults).map(
      ([code, fault]) =>
        `${code}: ${fault.images} image${fault.images === 1 ? '' : 's'}, such as ${fault.example.image}: ${fault.example.message}`,
    ),
  ];
}

/** Writes index.html and report.json to a directory, with small pictures of the worst images. @returns path of the page */
export async function writeBackfillReport(
  store: ObjectStore,
  report: BackfillReport,
  directory: string,
): Promise<string> {
  const pictures = join(resolve(directory), 'pictures');
  await mkdir(pictures, { recursive: true });
  const exhibits = await pMap(report.worst, (worst) => drawExhibit(store, worst, pictures), { concurrency: 2 });
  await writeFile(join(resolve(directory), 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
  const hasDays = report.days.length > 0;
  if (hasDays) await writeFile(join(resolve(directory), 'days.svg'), chartSvg(daysChart(report)));
  const page = join(resolve(directory), 'index.html');
  await writeFile(page, backfillPage(report, exhibits, { hasDays }));
  return page;
}

/** An image or overlay may have been deleted since: the page then shows none. */
async function drawExhibit(store: ObjectStore, worst: WorstImage, directory: string): Promise<Exhibit> {
  const { inspectionId, imageKey } = worst;
  const write = async (suffix: string, read: () => Promise<Uint8Array>) => {
    const name = `${inspectionId}-${suffix}`;
    try {
      await writeFile(join(directory, name), await read());
      return name;
    } catch {
      return undefined;
    }
  };
  const part = await write('part.jpg', async () => await thumbnailJpeg(await readImage(store, imageKey)));
  const overlay = await write('overlay.png', () => store.get(overlayKey(inspectionId)));
  return { worst, part, overlay };
}

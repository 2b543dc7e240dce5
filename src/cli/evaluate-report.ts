import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import pMap from 'p-map';
import { byDefect, type Evaluation, isGood, isMiss } from '../fit/evaluate.js';
import type { JudgedImage } from '../fit/evaluate-images.js';
import { readSize } from '../shared/image.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { Scorer } from '../shared/patchcore/scorer.js';
import { markedDefectPng } from '../shared/plots/marked-defect.js';
import { thumbnailJpeg } from '../shared/plots/thumbnail.js';
import { rocChart, scoresChart } from './evaluate-charts.js';
import type { Explanations } from './evaluate-explanations.js';
import { type Exhibit, reportPage, type Section } from './evaluate-page.js';
import { writeExplanations } from './explanations-report.js';
import { writeChart } from './write-chart.js';

/** Shown of each kind: enough to see what goes wrong and what is found, few enough to look at. */
const shown = { falseAlarms: 6, missesOfKind: 4, hitsOfKind: 2 };

export interface Evaluated {
  evaluation: Evaluation;
  images: readonly JudgedImage[];
  bundle: LoadedBundle;
  scorer: Scorer;
  explanations?: Explanations | undefined;
}

/**
 * Writes a folder that opens from disk: report.html over roc and scores, each .svg and .png, and pictures/; and report.json,
 * which holds the evaluation and the score of every image. With explanations also charts of these and how each method explains some
 * images.
 *
 * @returns the path of the page
 */
export async function writeReport(evaluated: Evaluated, directory: string): Promise<string> {
  const { evaluation, images, bundle, explanations } = evaluated;
  await mkdir(resolve(directory, 'pictures'), { recursive: true });
  const scores = images.map(({ image: { name, defect }, score, isFlagged }) => ({ name, defect, score, isFlagged }));
  const report = { ...evaluation, ...(explanations && { explanations: explanations.report }), scores };
  await writeFile(resolve(directory, 'report.json'), `${JSON.stringify(report, null, 1)}\n`);
  const charts = { roc: rocChart(evaluation, images), scores: scoresChart(evaluation, images) };
  for (const [name, chart] of Object.entries(charts)) if (chart) await writeChart(chart, resolve(directory, name));
  const sections = await drawSections(evaluated, directory);
  const explained =
    explanations &&
    (await writeExplanations(explanations, bundle.bundle, directory, (chart, name) =>
      writeChart(chart, resolve(directory, name)),
    ));
  const path = resolve(directory, 'report.html');
  await writeFile(path, reportPage(evaluation, sections, { hasRoc: charts.roc !== undefined, explained }));
  return path;
}

/** The worst false alarms, and of each kind of defect the worst misses and the clearest hits. */
function sectionsOf(images: readonly JudgedImage[]): { title: string; images: JudgedImage[] }[] {
  const highestFirst = images.toSorted((a, b) => b.score - a.score);
  const falseAlarms = highestFirst.filter((judged) => isGood(judged) && judged.isFlagged);
  return [
    { title: 'Good images, worst false alarms', images: falseAlarms.slice(0, shown.falseAlarms) },
    ...byDefect(highestFirst).map(([defect, ofKind]) => {
      const misses = ofKind.filter(isMiss).reverse();
      const hits = ofKind.filter(({ isFlagged }) => isFlagged);
      const worstAndClearest = [...misses.slice(0, shown.missesOfKind), ...hits.slice(0, shown.hitsOfKind)];
      return { title: `${defect}, worst misses and clearest hits`, images: worstAndClearest };
    }),
  ];
}

async function drawSections(evaluated: Evaluated, directory: string): Promise<Section[]> {
  const sections: Section[] = [];
  let number = 0;
  for (const { title, images } of sectionsOf(evaluated.images)) {
    const draw = (judged: JudgedImage) => drawExhibit(judged, String(++number).padStart(3, '0'), evaluated, directory);
    sections.push({ title, exhibits: await pMap(images, draw, { concurrency: 2 }) });
  }
  return sections;
}

/** Scores the image once more: keeping the pixels of all would take more memory than a few are worth. */
async function drawExhibit(
  judged: JudgedImage,
  prefix: string,
  { scorer, bundle }: Evaluated,
  directory: string,
): Promise<Exhibit> {
  const bytes = await readFile(judged.image.path);
  const scored = await scorer.score(bytes, bundle);
  const { width, height } = await readSize(bytes);
  const files: Exhibit['files'] = { part: `${prefix}-part.jpg`, overlay: `${prefix}-overlay.png` };
  const write = (name: string, picture: Uint8Array) => writeFile(join(directory, 'pictures', name), picture);
  await write(files.part, await thumbnailJpeg(bytes));
  await write(files.overlay, (await scorer.draw(scored, bundle)).overlay);
  if (judged.mask) {
    files.marked = `${prefix}-marked.png`;
    await write(files.marked, await markedDefectPng(scored.pixels, judged.mask, scored));
  }
  return { judged, files, aspect: width / height };
}

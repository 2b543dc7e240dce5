import * as Plot from '@observablehq/plot';
import { beatsChance, type FigureName } from '../fit/explanation-figures.js';
import { isDrawn } from '../fit/image-explanations.js';
import { type Chart, marginFor } from '../shared/plots/chart.js';
import { chartColours } from '../shared/plots/chart-colours.js';
import { type ExplanationsReport, figureTitles } from './evaluate-explanations.js';

/** Whether explanations point at the masks; undefined where there are none. */
export function localisationChart(report: ExplanationsReport): Chart | undefined {
  if (report.withMask === 0) return undefined;
  return figuresChart(report, ['energyInMask', 'pointingGame'], {
    title: 'Do explanations point at the defect?',
    subtitle: `${report.withMask} images with a mask; higher is better; bars hold the mean with 95 % certainty`,
  });
}

/** Whether the classifier depends on the pixels that explanations name. */
export const faithfulnessFiguresChart = (report: ExplanationsReport): Chart =>
  figuresChart(report, ['deletion', 'flipping', 'insertion', 'road'], {
    title: 'Does the classifier depend on what they name?',
    subtitle: `${report.images} images; deletion and flipping: lower is better; insertion and ROAD: higher`,
  });

function figuresChart(
  { methods }: ExplanationsReport,
  figures: readonly FigureName[],
  head: Pick<Chart, 'title' | 'subtitle'>,
): Chart {
  const names = Object.keys(methods);
  const points = names.flatMap((method) =>
    figures.flatMap((figure) => {
      const summary = methods[method]![figure];
      if (!summary) return [];
      const [low, high] = summary.interval ?? [summary.mean, summary.mean];
      const colour = isDrawn(method)
        ? chartColours.neutral
        : beatsChance(method, summary)
          ? chartColours.good
          : chartColours.suspicious;
      return [{ method, figure: figureTitles[figure], mean: summary.mean, low, high, colour }];
    }),
  );
  const lowest = Math.min(0, ...points.map(({ low }) => low));
  const place = { fx: 'figure', y: 'method' };
  return {
    ...head,
    legend: [
      { label: 'surely beats a map drawn by lot', colour: chartColours.good },
      { label: 'does not surely', colour: chartColours.suspicious },
      { label: 'drawn by lot', colour: chartColours.neutral },
    ],
    height: 110 + 34 * names.length,
    marginLeft: marginFor(names),
    x: { label: null, domain: [lowest, 1], ticks: [0, 0.5, 1], tickFormat: String },
    y: { label: null, domain: names },
    fx: { label: null, domain: figures.map((figure) => figureTitles[figure]), padding: 0.18 },
    marks: [
      Plot.ruleX([0]),
      Plot.ruleY(points, { ...place, x1: 'low', x2: 'high', stroke: 'colour', strokeWidth: 2.5 }),
      Plot.dot(points, { ...place, x: 'mean', r: 5, fill: 'colour' }),
    ],
  };
}

import * as Plot from '@observablehq/plot';
import { type Evaluation, isGood } from '../fit/evaluate.js';
import type { JudgedImage } from '../fit/evaluate-images.js';
import { rocCurve } from '../shared/kernels/roc-curve.js';
import type { Chart } from '../shared/plots/chart.js';
import { chartColours } from '../shared/plots/chart-colours.js';

/** Readable too on half of a page, or on a phone. */
const size = { width: 560, height: 420 };
const percentAxis = { percent: true, domain: [0, 100] };

/** What each threshold would give, and what the bundle's own gives; undefined where good or defective images are missing. */
export function rocChart(evaluation: Evaluation, images: readonly JudgedImage[]): Chart | undefined {
  const { product, bundle, imageAuroc, falseAlarmRate, missRate } = evaluation;
  const curve = rocCurve(
    images.map(({ score }) => score),
    images.map((judged) => Number(!isGood(judged))),
  );
  if (!curve || imageAuroc === null || falseAlarmRate === null || missRate === null) return undefined;
  const points = Array.from(curve.falsePositiveRates, (x, i) => ({ x, y: curve.truePositiveRates[i]! }));
  const own = [{ x: falseAlarmRate, y: 1 - missRate }];
  return {
    title: 'Defects found against false alarms',
    subtitle: `${product} ${bundle}, area under the curve (image AUROC) ${imageAuroc.toFixed(4)}`,
    legend: [
      { label: 'any threshold', colour: chartColours.good },
      { label: "the bundle's threshold", colour: chartColours.suspicious },
      { label: 'chance', colour: chartColours.neutral },
    ],
    ...size,
    x: { label: 'good images flagged (%)', ...percentAxis },
    y: { label: 'defects found (%)', ...percentAxis },
    marks: [
      Plot.line(
        [
          [0, 0],
          [1, 1],
        ],
        { stroke: chartColours.neutral, strokeDasharray: '4 4' },
      ),
      Plot.line(points, { x: 'x', y: 'y', stroke: chartColours.good, strokeWidth: 2.5 }),
      Plot.dot(own, {
        x: 'x',
        y: 'y',
        r: 6,
        fill: chartColours.suspicious,
        stroke: chartColours.paper,
        strokeWidth: 2,
      }),
    ],
  };
}

/** How the scores of good and of defective images lie around the threshold. */
export function scoresChart({ product, bundle, threshold }: Evaluation, images: readonly JudgedImage[]): Chart {
  const scores = images.map(({ score }) => score);
  const kinds = [
    { label: 'good images', colour: chartColours.good, scores: images.filter(isGood) },
    { label: 'defective images', colour: chartColours.suspicious, scores: images.filter((judged) => !isGood(judged)) },
  ].filter((kind) => kind.scores.length > 0);
  const thresholds = binEdges(scores, threshold);
  return {
    title: 'Scores of images',
    subtitle: `${product} ${bundle}, flagged from the threshold ${threshold.toFixed(3)} on`,
    legend: kinds.map(({ label, colour, scores }) => ({ label: `${scores.length} ${label}`, colour })),
    ...size,
    x: { label: 'anomaly score' },
    y: { label: 'images', tickFormat: (count: number) => (Number.isInteger(count) ? String(count) : '') },
    marks: [
      ...kinds.map(({ scores, colour }) =>
        Plot.rectY(scores, {
          ...Plot.binX({ y2: 'count' }, { x: 'score', thresholds }),
          fill: colour,
          fillOpacity: 0.65,
        }),
      ),
      Plot.ruleY([0]),
      Plot.ruleX([threshold], { stroke: chartColours.ink, strokeWidth: 1.5, strokeDasharray: '5 4' }),
    ],
  };
}

const bins = 40;

/** One edge is the threshold, so that no bar holds images of both verdicts. */
function binEdges(scores: readonly number[], threshold: number): number[] {
  const [low, high] = [Math.min(threshold, ...scores), Math.max(threshold, ...scores)];
  const width = (high - low) / bins || 1;
  const first = Math.floor((low - threshold) / width);
  const last = Math.floor((high - threshold) / width) + 1; // a bin holds its lower edge, not its upper one
  return Array.from({ length: last - first + 1 }, (_, i) => threshold + (first + i) * width);
}

import * as Plot from '@observablehq/plot';
import type { Chart } from '../shared/plots/chart.js';
import { chartColours } from '../shared/plots/chart-colours.js';
import type { BackfillReport } from './backfill-report.js';

type Day = BackfillReport['days'][number];

/** From the bottom of a bar to its top. */
const kinds: { label: string; colour: string; count(day: Day): number }[] = [
  { label: 'anomalous', colour: chartColours.suspicious, count: ({ anomalous }) => anomalous },
  { label: 'failed', colour: chartColours.neutral, count: ({ failed }) => failed },
  { label: 'good', colour: chartColours.good, count: ({ images, anomalous, failed }) => images - anomalous - failed },
];

const dayMs = 86_400_000;
/** A longer time is drawn by months, which can still be told apart. */
const longestByDayMs = 120 * dayMs;
/** So that the bar of a single day looks like one. */
const shortestMs = 14 * dayMs;

/** Images by day or month of capture, and how many of them were anomalous or failed. */
export function daysChart({ days, camera, product }: Pick<BackfillReport, 'days' | 'camera' | 'product'>): Chart {
  const times = days.map(({ date }) => Date.parse(date));
  const [first, last] = [Math.min(...times), Math.max(...times) + dayMs];
  const isLong = last - first > longestByDayMs;
  return {
    title: `Images by ${isLong ? 'month' : 'day'}`,
    subtitle: `camera ${camera}, product ${product}, by UTC date of capture`,
    legend: kinds.map(({ label, colour }) => ({ label, colour })),
    width: 960,
    height: 320,
    x: { type: 'utc', domain: timeDomain(first, last) },
    y: { label: 'images', tickFormat: (count: number) => (Number.isInteger(count) ? String(count) : '') },
    color: { domain: kinds.map(({ label }) => label), range: kinds.map(({ colour }) => colour) },
    marks: [Plot.rectY(barsOf(days, isLong), { x1: 'from', x2: 'to', y: 'images', fill: 'kind' }), Plot.ruleY([0])],
  };
}

/** From one time to another, with a margin on both sides where they lie close together. */
export function timeDomain(first: number, last: number): [Date, Date] {
  const margin = Math.max(0, shortestMs - (last - first)) / 2;
  return [new Date(first - margin), new Date(last + margin)];
}

/** Counts by kind over days, or months. */
function barsOf(days: readonly Day[], byMonth: boolean) {
  const bars = new Map<string, { from: Date; to: Date; kind: string; images: number }>();
  for (const day of days) {
    const [year, month, date] = day.date.split('-').map(Number) as [number, number, number];
    const from = new Date(Date.UTC(year, month - 1, byMonth ? 1 : date));
    const to = byMonth ? new Date(Date.UTC(year, month)) : new Date(from.getTime() + dayMs);
    for (const { label: kind, count } of kinds) {
      const key = `${from.getTime()} ${kind}`;
      const bar = bars.get(key) ?? { from, to, kind, images: 0 };
      bar.images += count(day);
      bars.set(key, bar);
    }
  }
  return [...bars.values()];
}

import * as Plot from '@observablehq/plot';
import { type DriftDay, type DriftLevel, driftLevels, indexLimits, type MeasuredDrift } from '../history/drift.js';
import type { Chart } from '../shared/plots/chart.js';
import { chartColours } from '../shared/plots/chart-colours.js';
import { timeDomain } from './backfill-chart.js';

const dayMs = 86_400_000;
const size = { width: 960, height: 340 };

/** The days of one camera. */
export interface CameraDays {
  camera: string;
  product: string;
  days: readonly DriftDay[];
}

interface Placed {
  day: DriftDay;
  from: Date;
  middle: Date;
  to: Date;
}

/** Each day as wide as it lasts; bundle versions of one day stand side by side. */
function placeDays(days: readonly DriftDay[]): Placed[] {
  return days.map((day) => {
    const sameDay = days.filter(({ date }) => date === day.date);
    const width = dayMs / sameDay.length;
    const from = Date.parse(day.date) + sameDay.indexOf(day) * width;
    const at = (part: number) => new Date(from + part * width);
    return { day, from: at(0.1), middle: at(0.5), to: at(0.9) };
  });
}

function axisOf(days: readonly DriftDay[]) {
  const times = days.map(({ date }) => Date.parse(date));
  return { type: 'utc', domain: timeDomain(Math.min(...times), Math.max(...times) + dayMs) } as const;
}

const measured = ({ measures }: DriftDay, name: MeasuredDrift['measure']) =>
  measures.find(({ measure }) => measure === name);

/** Quantiles of the severity on each day. */
export function severityChart({ camera, product, days }: CameraDays): Chart {
  const bands = placeDays(days).map(({ day, from, to }) => {
    const [low, lower, median, upper, high] = measured(day, 'severity')!.quantiles;
    return { from, to, low, lower, median, upper, high };
  });
  const place = { x1: 'from', x2: 'to' };
  return {
    title: `Severity of images, camera ${camera}`,
    subtitle: `${product}, all images by UTC date of capture; anomalous from 100 on, the median of held-out good images is 0`,
    legend: [
      { label: 'middle half', colour: chartColours.good },
      { label: '5 to 95 %', colour: chartColours.line },
      { label: 'median', colour: chartColours.ink },
      { label: 'threshold', colour: chartColours.suspicious },
    ],
    ...size,
    x: axisOf(days),
    y: { label: 'severity', nice: true },
    marks: [
      Plot.rect(bands, { ...place, y1: 'low', y2: 'high', fill: chartColours.line }),
      Plot.rect(bands, { ...place, y1: 'lower', y2: 'upper', fill: chartColours.good, fillOpacity: 0.7 }),
      Plot.ruleY(bands, { ...place, y: 'median', stroke: chartColours.ink, strokeWidth: 2 }),
      Plot.ruleY([0], { stroke: chartColours.neutral }),
      Plot.ruleY([100], { stroke: chartColours.suspicious, strokeWidth: 1.5, strokeDasharray: '5 4' }),
    ],
  };
}

const series: { label: string; colour: string; of(day: DriftDay): MeasuredDrift | undefined }[] = [
  { label: 'severity', colour: chartColours.good, of: (day) => measured(day, 'severity') },
  {
    label: 'severity of images judged good',
    colour: chartColours.third,
    of: (day) => measured(day, 'severity_of_good'),
  },
  { label: 'the feature that moved most', colour: chartColours.fourth, of: mostMovedFeature },
];

function mostMovedFeature({ measures }: DriftDay): MeasuredDrift | undefined {
  const rank = ({ level }: MeasuredDrift) => driftLevels.indexOf(level);
  return measures
    .filter(({ measure }) => !measure.startsWith('severity'))
    .sort((a, b) => rank(b) - rank(a) || b.index - a.index)[0];
}

const radiusOf = ({ level }: { level: DriftLevel }): number => (level === 'alarm' ? 6 : 3);

const indexTicks = [0, indexLimits.moving, indexLimits.alarm, 0.5, 1, 2, 4, 8];

/** Population stability indices of each day, with what chance explains; undefined where every day has too few images. */
export function indexChart({ camera, product, days }: CameraDays): Chart | undefined {
  const placed = placeDays(days);
  const points = series.flatMap(({ label, of }) =>
    placed.flatMap(({ day, middle }) => {
      const drift = of(day);
      if (!drift || drift.level === 'too few') return [];
      return [{ label, middle, index: drift.index, run: `${label} ${day.bundle}`, level: drift.level }];
    }),
  );
  if (points.length === 0) return undefined;
  const chance = placed.flatMap(({ day, from, to }) => {
    const drift = measured(day, 'severity');
    return drift && drift.level !== 'too few' ? [{ from, to, most: drift.byChance }] : [];
  });
  const shown = series.filter(({ label }) => points.some((point) => point.label === label));
  const top = 1.1 * Math.max(2 * indexLimits.alarm, ...points.map(({ index }) => index));
  const limit = { strokeWidth: 1.5, strokeDasharray: '5 4' };
  const place = { x: 'middle', y: 'index' };
  return {
    title: `Population stability index, camera ${camera}`,
    subtitle: `${product}, each day against held-out good images of the bundle; large dots are alarms, hollow ones stable`,
    legend: [
      ...shown.map(({ label, colour }) => ({ label, colour })),
      { label: 'moving from here', colour: chartColours.neutral },
      { label: 'alarm from here', colour: chartColours.suspicious },
      { label: 'explained by chance (severity)', colour: chartColours.line },
    ],
    ...size,
    x: axisOf(days),
    // Small indices matter most, and large ones should still fit.
    y: {
      label: 'index',
      type: 'sqrt',
      ticks: indexTicks.filter((tick) => tick <= top),
      tickFormat: String,
      domain: [0, top],
    },
    color: { domain: shown.map(({ label }) => label), range: shown.map(({ colour }) => colour) },
    marks: [
      Plot.rect(chance, { x1: 'from', x2: 'to', y1: 0, y2: 'most', fill: chartColours.line, clip: true }),
      Plot.ruleY([0]),
      Plot.ruleY([indexLimits.moving], { ...limit, stroke: chartColours.neutral }),
      Plot.ruleY([indexLimits.alarm], { ...limit, stroke: chartColours.suspicious }),
      Plot.line(points, { ...place, z: 'run', stroke: 'label', strokeWidth: 2 }),
      Plot.dot(points, {
        ...place,
        r: radiusOf,
        stroke: 'label',
        strokeWidth: 2,
        fill: chartColours.paper,
      }),
      Plot.dot(
        points.filter(({ level }) => level !== 'stable'),
        { ...place, r: radiusOf, fill: 'label' },
      ),
    ],
    r: { type: 'identity' },
  };
}

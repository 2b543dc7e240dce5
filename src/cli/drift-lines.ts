import {
  type Drift,
  type DriftDay,
  type DriftMeasure,
  type DriftSearch,
  fewestImages,
  indexLimits,
} from '../history/drift.js';
import { featureLabel } from '../shared/plots/feature-labels.js';

/** What the command prints with --json. */
export interface DriftReport extends Drift {
  product: string;
  /** Days of a camera and bundle version with an alarm. */
  alarms: number;
}

export function measureLabel(measure: DriftMeasure): string {
  if (measure === 'severity') return 'severity';
  return measure === 'severity_of_good' ? 'severity of images judged good' : featureLabel(measure);
}

/** For people: a line for each day, camera and bundle version. */
export function describeDrift(report: DriftReport, { camera, since }: DriftSearch): string[] {
  const { product, references, days, alarms } = report;
  if (days.length === 0) {
    const by = camera === undefined ? '' : ` by ${camera}`;
    return [`no inspections of ${product}${by}${since === undefined ? '' : ` since ${since}`} in the history`];
  }
  const against = references.map(({ bundle, images }) => `${bundle} (${images})`).join(', ');
  return [
    `${product}: population stability index of each day against held-out good images of ${against}`,
    ...tableOf(days),
    ...remarksOn(days),
    `${alarms} ${alarms === 1 ? 'alarm' : 'alarms'}: an index above ${indexLimits.alarm}, beyond chance, and for severity and patch distances upward (moving: above ${indexLimits.moving})`,
  ];
}

const columns = ['date', 'camera', 'bundle', 'images', 'anomalous', 'median severity', 'index'];
const areNumbers = (column: number): boolean => column >= 3;

function tableOf(days: readonly DriftDay[]): string[] {
  const rows = days.map((day) => {
    const severity = day.measures.find(({ measure }) => measure === 'severity')!;
    const figures = [day.images, day.anomalous, Math.round(severity.quantiles[2]), leading(day).index.toFixed(2)];
    return [day.date, day.camera ?? 'no camera', day.bundle, ...figures.map(String)];
  });
  const widths = columns.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => (areNumbers(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ');
  return [line(columns), ...rows.map((row, index) => `${line(row)}  ${judgementOf(days[index]!)}`.trimEnd())];
}

/** The measure that has moved most, of those that decide on the day. */
function leading({ measures, level }: DriftDay) {
  return measures
    .filter((each) => each.level === level)
    .reduce((most, each) => (each.index > most.index ? each : most));
}

const barLength = 10;

/** What has moved, after a bar in which 5 blocks are an alarm. */
function judgementOf(day: DriftDay): string {
  const moved = day.measures.filter(({ level }) => level === 'alarm' || level === 'moving');
  if (moved.length === 0) return day.level;
  const names = moved.sort((a, b) => b.index - a.index).map(({ measure }) => measureLabel(measure));
  const blocks = Math.min(barLength, Math.round((5 * leading(day).index) / indexLimits.alarm));
  return `${day.level === 'alarm' ? 'ALARM' : day.level}  ${'\u2588'.repeat(blocks).padEnd(barLength)}  ${names.join(', ')}`;
}

/** What was not compared, and why. */
export function remarksOn(days: readonly DriftDay[]): string[] {
  const few = days.filter(({ level }) => level === 'too few').length;
  const unexplained = days.filter(({ explained }) => explained.good === 0 && explained.anomalous > 0).length;
  const told = (count: number) => `${count} of ${days.length} rows`;
  return [
    ...(few > 0
      ? [`${told(few)} hold fewer than ${fewestImages} images, or are compared with fewer: too few for an alarm`]
      : []),
    ...(unexplained > 0
      ? [
          `in ${told(unexplained)} only flagged images have features (explain: flagged): features are not compared, since those of good images are unknown`,
        ]
      : []),
  ];
}

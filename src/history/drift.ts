import { quantile } from '../shared/kernels/quantile.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import {
  aboveByChance,
  countInBins,
  indexByChance,
  probabilityAbove,
  quantileBins,
  type ReferenceBins,
  stabilityIndex,
} from '../shared/kernels/stability-index.js';
import { dateOf } from '../shared/keys.js';
import { readRows } from './rows.js';
import type { History } from './table.js';

/**
 * What is compared. Severity is the anomaly score on another scale, so one index serves both; it is compared over all images and
 * over those judged good, so that a day with many defects can be told from a changed picture of good parts. Features are those of
 * images judged good.
 */
export const driftMeasures = ['severity', 'severity_of_good', ...featureNames] as const;
export type DriftMeasure = (typeof driftMeasures)[number];

/** Values of some images. */
export type DriftValues = Record<DriftMeasure | 'anomaly_score', number[]>;

/**
 * Of these only higher values count. Held-out images were judged by models that had learned from fewer images: they scatter more
 * and lie higher than new good ones, which would look like drift. A camera that changes makes images less like those learned from.
 */
const oneSided: ReadonlySet<DriftMeasure> = new Set([
  ...(['severity', 'severity_of_good'] as const),
  ...(['mean_patch_distance', 'max_patch_distance'] as const),
]);

export const indexLimits = { moving: 0.1, alarm: 0.25 };
/** With fewer images on either side nothing is said. */
export const fewestImages = 50;
const bins = 10;
/** All indices of a day stay below the bound by chance in 99 of 100: each of seven in 1 - 0.01 / 7 of all cases. */
const normalQuantile = 2.983;

export const driftLevels = ['too few', 'stable', 'moving', 'alarm'] as const;
export type DriftLevel = (typeof driftLevels)[number];

/** The 5, 25, 50, 75 and 95 % quantiles. */
export type Quantiles = [number, number, number, number, number];
const quantiles = [0.05, 0.25, 0.5, 0.75, 0.95];

export interface MeasuredDrift {
  measure: DriftMeasure;
  images: number;
  /** Population stability index. */
  index: number;
  /** What chance alone would exceed once in a hundred days. */
  byChance: number;
  /** How likely an image lies above a held-out one. */
  above: number;
  level: DriftLevel;
  quantiles: Quantiles;
  /** Of the images, in each bin of the reference. */
  shares: number[];
}

/** The images of a UTC date of capture that one camera took and one bundle version judged. */
export interface DriftDay {
  date: string;
  camera: string | null;
  bundle: string;
  images: number;
  anomalous: number;
  /** Images with readable features: under the policy `flagged` none of the good ones has any. */
  explained: { good: number; anomalous: number };
  /** The highest of all measures. */
  level: DriftLevel;
  anomalyScore: Quantiles;
  measures: MeasuredDrift[];
}

/** The held-out good images of a bundle version. */
export interface DriftReference {
  bundle: string;
  images: number;
  anomalyScore: Quantiles;
  measures: { measure: DriftMeasure; images: number; quantiles: Quantiles; edges: number[]; shares: number[] }[];
}

export interface Drift {
  references: DriftReference[];
  /** By date, camera and bundle. */
  days: DriftDay[];
}

export interface DriftSearch {
  product: string;
  camera?: string | undefined;
  /** UTC date, yyyy-mm-dd: images captured before it are left out. */
  since?: string | undefined;
}

/**
 * Compares the inspections of each day, camera and bundle version with the held-out good images of that version.
 *
 * @param referenceOf the values of a bundle version @throws HISTORY_UNAVAILABLE, and what `referenceOf` throws
 */
export async function findDrift(
  history: History,
  search: DriftSearch,
  referenceOf: (bundle: string) => Promise<DriftValues>,
): Promise<Drift> {
  const groups = await readGroups(history, search);
  const references = new Map<string, Reference>();
  for (const bundle of new Set(groups.map((group) => group.bundle))) {
    references.set(bundle, binned(await referenceOf(bundle)));
  }
  return {
    references: [...references].map(([bundle, reference]) => describeReference(bundle, reference)),
    days: groups.map((group) => compare(group, references.get(group.bundle)!)),
  };
}

interface Group {
  date: string;
  camera: string | null;
  bundle: string;
  explainedAnomalous: number;
  values: DriftValues;
}

async function readGroups(history: History, { product, camera, since }: DriftSearch): Promise<Group[]> {
  const groups = new Map<string, Group>();
  const filter = {
    product,
    ...(camera !== undefined && { camera }),
    ...(since !== undefined && { since: new Date(since) }),
  };
  const columns = ['camera', 'bundle', 'capturedAt', 'verdict', 'anomalyScore', 'severity', 'features'] as const;
  for await (const row of readRows(history, filter, columns)) {
    const { camera, bundle, capturedAt, verdict, anomalyScore, severity, features } = row;
    if (anomalyScore === null || severity === null) continue; // a failed inspection
    const date = dateOf(capturedAt.toISOString());
    const key = `${date} ${camera} ${bundle}`;
    const group = groups.get(key) ?? { date, camera, bundle, explainedAnomalous: 0, values: noValues() };
    groups.set(key, group);
    const { values } = group;
    values.anomaly_score.push(anomalyScore);
    values.severity.push(severity);
    if (verdict === 'good') {
      values.severity_of_good.push(severity);
      for (const [j, name] of featureNames.entries()) {
        const value = features?.[j];
        if (value !== undefined && value !== null) values[name].push(value);
      }
    } else if (features) group.explainedAnomalous++;
  }
  return [...groups.values()].sort(inOrder);
}

const noValues = () =>
  Object.fromEntries(['anomaly_score', ...driftMeasures].map((name) => [name, []])) as unknown as DriftValues;

const inOrder = (a: Group, b: Group): number =>
  compareTexts(a.date, b.date) || compareTexts(a.camera ?? '', b.camera ?? '') || compareTexts(a.bundle, b.bundle);
const compareTexts = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });

interface Reference {
  values: DriftValues;
  binned: Map<DriftMeasure, ReferenceBins>;
}

function binned(values: DriftValues): Reference {
  const known = driftMeasures.filter((measure) => values[measure].length > 0);
  return { values, binned: new Map(known.map((measure) => [measure, quantileBins(values[measure], bins)])) };
}

function compare({ values, explainedAnomalous, ...group }: Group, reference: Reference): DriftDay {
  const measures = [...reference.binned]
    .filter(([measure]) => values[measure].length > 0)
    .map(([measure, bins]) => measureDrift(measure, values[measure], bins));
  return {
    ...group,
    images: values.severity.length,
    anomalous: values.severity.length - values.severity_of_good.length,
    explained: { good: values[featureNames[0]].length, anomalous: explainedAnomalous },
    level: highest(measures.map(({ level }) => level)),
    anomalyScore: quantilesOf(values.anomaly_score),
    measures,
  };
}

function measureDrift(
  measure: DriftMeasure,
  values: number[],
  { edges, counts: reference }: ReferenceBins,
): MeasuredDrift {
  const counts = countInBins(values, edges);
  const referenceImages = reference.reduce((sum, count) => sum + count);
  const index = stabilityIndex(counts, reference);
  const [n, m] = [values.length, referenceImages];
  const byChance = indexByChance(reference.length, n, m, normalQuantile);
  const above = probabilityAbove(counts, reference);
  const hasMoved = index > byChance && (!oneSided.has(measure) || above > aboveByChance(n, m, normalQuantile));
  return {
    ...{ measure, images: n, index, byChance, above },
    level: Math.min(n, m) < fewestImages ? 'too few' : levelOf(hasMoved ? index : 0),
    quantiles: quantilesOf(values),
    shares: sharesOf(counts),
  };
}

function levelOf(index: number): DriftLevel {
  if (index < indexLimits.moving) return 'stable';
  return index > indexLimits.alarm ? 'alarm' : 'moving';
}

export const highest = (levels: readonly DriftLevel[]): DriftLevel =>
  driftLevels.findLast((level) => levels.includes(level)) ?? 'too few';

const quantilesOf = (values: number[]): Quantiles => quantiles.map((q) => quantile(values, q)) as Quantiles;

function sharesOf(counts: Float64Array): number[] {
  const total = counts.reduce((sum, count) => sum + count);
  return Array.from(counts, (count) => count / total);
}

const describeReference = (bundle: string, { values, binned }: Reference): DriftReference => ({
  bundle,
  images: values.severity.length,
  anomalyScore: quantilesOf(values.anomaly_score),
  measures: [...binned].map(([measure, { edges, counts }]) => ({
    measure,
    images: values[measure].length,
    quantiles: quantilesOf(values[measure]),
    edges: [...edges],
    shares: sharesOf(counts),
  })),
});

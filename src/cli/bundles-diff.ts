import { effectOf, heldOutScoresOf, type ThresholdEffect } from '../fit/change-threshold.js';
import { rateText } from '../fit/rate-text.js';
import { type Bundle, readBundle } from '../shared/bundle.js';
import { severityOf } from '../shared/kernels/severity.js';
import { answer, type CommonOptions, defineCommand, openSession } from './command-line.js';

type Change<Value> = { from: Value; to: Value };

/** What two bundles of a product differ in. */
export interface BundleDifference {
  product: string;
  from: string;
  to: string;
  /** The version that `to` has grown from. */
  base: string | null;
  images: Change<number> & { added: string[]; removed: string[] };
  /** Fields that differ. */
  settings: Record<string, Change<string | number>>;
  threshold: Change<number>;
  median: Change<number>;
  /** What the other bundle says of a score that is severity 100 by one. */
  severity: { thresholdOfFromByTo: number; thresholdOfToByFrom: number };
  bankRows: Change<number>;
  /** Held-out good images that are flagged at the threshold. */
  falseAlarms: Change<ThresholdEffect['falseAlarms']>;
  /** Codes of warnings that only one of them has. */
  warnings: { added: string[]; removed: string[] };
}

interface Described {
  bundle: Bundle;
  falseAlarms: ThresholdEffect['falseAlarms'];
}

export function compareBundles(a: Described, b: Described): BundleDifference {
  const [from, to] = [a.bundle, b.bundle];
  const change = <Value>(of: (bundle: Bundle) => Value): Change<Value> => ({ from: of(from), to: of(to) });
  const only = (namesOf: (bundle: Bundle) => string[]) => ({
    added: without(namesOf(to), namesOf(from)),
    removed: without(namesOf(from), namesOf(to)),
  });
  return {
    product: to.product,
    from: from.version,
    to: to.version,
    base: to.base ?? null,
    images: { ...change(({ images }) => images), ...only(({ training }) => training.images.map(({ name }) => name)) },
    settings: settingsThatDiffer(from, to),
    threshold: change(({ threshold }) => threshold),
    median: change(({ median }) => median),
    severity: {
      thresholdOfFromByTo: severityOf(from.threshold, to.median, to.threshold),
      thresholdOfToByFrom: severityOf(to.threshold, from.median, from.threshold),
    },
    bankRows: change(({ rows }) => rows),
    falseAlarms: { from: a.falseAlarms, to: b.falseAlarms },
    warnings: only(({ warnings }) => warnings.map(({ code }) => code)),
  };
}

/** The names of one list that another lacks, as often as it lacks them. */
function without(names: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const name of others) left.set(name, (left.get(name) ?? 0) + 1);
  return names.filter((name) => {
    const count = left.get(name) ?? 0;
    left.set(name, count - 1);
    return count <= 0;
  });
}

function settingsThatDiffer(from: Bundle, to: Bundle): BundleDifference['settings'] {
  const settingsOf = ({
    profile,
    score,
    seed,
    network,
    input,
    neighbourhood,
    dims,
    classifier,
    risk,
    thresholdRule,
  }: Bundle) => ({
    profile,
    score,
    seed,
    network: network.file,
    'network sha256': network.sha256,
    input: `${input.width} x ${input.height}`,
    region: input.region ? JSON.stringify(input.region) : 'the whole image',
    neighbourhood,
    dimensions: dims,
    defects: classifier.defects,
    'risk model': risk.kind,
    'threshold rule': thresholdRule.rule,
  });
  const [before, after] = [settingsOf(from), settingsOf(to)];
  const names = Object.keys(before) as (keyof typeof before)[];
  return Object.fromEntries(
    names.filter((name) => before[name] !== after[name]).map((name) => [name, { from: before[name], to: after[name] }]),
  );
}

const shownNames = 10;

function listed(what: string, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const more = names.length > shownNames ? `, and ${names.length - shownNames} more` : '';
  return [`  ${names.length} ${what}: ${names.slice(0, shownNames).join(', ')}${more}`];
}

function describe(difference: BundleDifference): string[] {
  const { product, from, to, base, images, settings, threshold, median, severity, bankRows, falseAlarms, warnings } =
    difference;
  const line = (name: string, { from, to }: Change<unknown>) =>
    from === to ? `${name}: ${from} in both` : `${name}: ${from} -> ${to}`;
  const written = ({ from, to }: Change<number>) => ({ from: from.toFixed(3), to: to.toFixed(3) });
  const flagged = (rate: ThresholdEffect['falseAlarms']) => `${rate.count} of ${rate.images}, ${rateText(rate)}`;
  return [
    `${product}: ${from} -> ${to}${base === null ? '' : `, which has grown from ${base}`}`,
    line('images', images),
    ...listed('added', images.added),
    ...listed('removed', images.removed),
    ...Object.entries(settings).map(([name, change]) => line(name, change)),
    line('threshold', written(threshold)),
    line('median of good images', written(median)),
    `severity 100 of ${from} is ${severity.thresholdOfFromByTo.toFixed(0)} by ${to}, severity 100 of ${to} is ${severity.thresholdOfToByFrom.toFixed(0)} by ${from}`,
    line('bank rows', bankRows),
    line('held-out good images flagged', { from: flagged(falseAlarms.from), to: flagged(falseAlarms.to) }),
    ...listed('new warnings', warnings.added),
    ...listed('warnings gone', warnings.removed),
  ];
}

export const diff = defineCommand(
  'diff <product> <from> <to>',
  'Show what two versions of a product differ in: images, settings, threshold, severity, false alarms.',
  'patchline bundles diff kol v1 v2',
).action(async (product: string, from: string, to: string, options: CommonOptions) => {
  const { store } = await openSession(options);
  const load = async (version: string): Promise<Described> => {
    const bundle = await readBundle(store, product, version);
    const { falseAlarms } = effectOf(await heldOutScoresOf(store, bundle), bundle.threshold);
    return { bundle, falseAlarms };
  };
  const difference = compareBundles(await load(from), await load(to));
  answer(options, difference, describe(difference));
});

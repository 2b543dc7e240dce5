import type { Bundle } from '../shared/bundle.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { severityOf } from '../shared/kernels/severity.js';
import type { ScoreName } from '../shared/patchcore/image-score.js';
import { weakAuroc } from './classifier-head.js';
import { mostOddShown, severityText } from './odd-images.js';
import { formatRate, rateText } from './rate-text.js';
import { missesOf } from './threshold.js';

/** The card of a bundle: what it learned from and what to expect of it, as plain text. */
export function describeBundle(bundle: Bundle): string {
  const { product, version, images, patches, rows, dims, input, network, median, spread } = bundle;
  const lines = [
    `Product ${product}, bundle ${version}${bundle.base ? `, grown from ${bundle.base}` : ''}, fitted ${bundle.createdAt} with profile ${bundle.profile}, seed ${bundle.seed}`,
    '',
    'What it saw',
    `  ${images} good images (${bundle.formats.join(', ')}), ${sizesOf(bundle)}`,
    `  Scored at ${input.width} x ${input.height} pixels, ${bundle.aspect === null ? 'squashed, because their shapes differ' : 'in their own shape'}`,
    `  Memory bank: ${rows} of ${patches} patches, ${dims} numbers each`,
    `  Network: ${network.file}${network.featureError === null ? '' : `, feature error of int8 ${network.featureError.toFixed(3)}`}`,
    '',
    'How it judges',
    `  Score ${bundle.score}: ${scoreTexts[bundle.score]}`,
    ...thresholdLines(bundle).map((line) => `  ${line}`),
    `  Good images that it had not seen: median ${median.toFixed(3)} (severity 0), one in six above ${(median + spread).toFixed(3)}`,
    ...oddLines(bundle),
    '',
    'What it learned about defects',
    ...defectLines(bundle).map((line) => `  ${line}`),
    '',
    'What to expect',
    ...expectations(bundle).map((line) => `  ${line}`),
    '',
    'Warnings',
    ...(bundle.warnings.length > 0 ? bundle.warnings.map(({ code, message }) => `  ${code}: ${message}`) : ['  none']),
  ];
  return `${lines.join('\n')}\n`;
}

const scoreTexts: Record<ScoreName, string> = {
  fused:
    'how unusual the most unusual patches are for their place on the part, joined with how far the whole part is from what good parts have in common',
  position: 'how unusual the most unusual patches are for their place on the part',
  top3: 'how far the most unusual patches are from any good patch, on average over 3 % of them',
  max: 'how far the most unusual patch is from any good patch',
  reweighted:
    'how far the most unusual patch is from any good patch, counted more where the nearest good patch is itself a rare one',
};

function sizesOf({ training }: Bundle): string {
  const range = (values: number[]) => {
    const [least, largest] = [Math.min(...values), Math.max(...values)];
    return least === largest ? `${least}` : `${least} to ${largest}`;
  };
  return `${range(training.images.map(({ width }) => width))} x ${range(training.images.map(({ height }) => height))} pixels`;
}

function thresholdLines(bundle: Bundle): string[] {
  const { threshold, median, heldOut, bestF1 } = bundle;
  const misses = heldOut && missesOf(heldOut, threshold);
  return [
    `An image is anomalous from a score of ${threshold.toFixed(3)} on: severity 100`,
    `That is ${ruleText(bundle)}`,
    ...(misses === undefined
      ? []
      : [`Labelled defects missed at this threshold: ${misses} of ${heldOut!.defects!.length}`]),
    ...(bestF1
      ? [
          `For comparison, the largest F1 in hindsight is ${bestF1.f1.toFixed(3)}, at ${severityText(severityOf(bestF1.threshold, median, threshold))}: ` +
            `${bestF1.misses} misses, ${bestF1.falseAlarms} false alarms`,
        ]
      : []),
  ];
}

function ruleText({ thresholdRule, settings, images, seed }: Bundle): string {
  const of = 'of good images that it had not seen';
  switch (thresholdRule.rule) {
    case 'robust':
      return `${settings.thresholdFactor} spreads above the median ${of}, one spread being how far above it one in six lies`;
    case 'false-alarms': {
      const { rate, tail } = thresholdRule;
      const wanted = `what ${formatRate(rate)} ${of} are expected to reach`;
      if (rate * images >= tail.images) return `${wanted}, by counting them`;
      return `${wanted}, by an exponential tail through the upper ${tail.images} of ${images}; interval by resampling, seed ${seed}`;
    }
    case 'cost': {
      const { costMiss, costAlarm } = thresholdRule;
      return `where misses at ${costMiss} each and false alarms at ${costAlarm} each cost least among ${images} good images and the labelled defects`;
    }
    case 'by-hand':
      return `severity ${thresholdRule.severity} of ${thresholdRule.base}, set by hand`;
  }
}

function oddLines({ oddImages, training }: Bundle): string[] {
  if (oddImages.length === 0) return [];
  const shown = oddImages
    .slice(0, mostOddShown)
    .map(({ image, severity }) => `  ${training.images[image]!.name}, ${severityText(severity)}`);
  const more = oddImages.length - shown.length;
  return [
    '',
    'Training images that look least like the others (see odd-images.jpg)',
    ...shown,
    ...(more > 0 ? [`  and ${more} more`] : []),
  ];
}

function defectLines({ classifier, risk }: Bundle): string[] {
  const origin = classifier.defects === 'labelled' ? 'labelled images of defects' : 'defects made up on good images';
  const weakness = (seen: string) => `Weak: ${seen} hardly tells them from good images; take it with care`;
  return [
    `From ${classifier.count} ${origin}, judged by models that had not seen them`,
    `Classifier of the whole image: AUROC ${classifier.auroc.toFixed(3)}`,
    ...(classifier.weak ? [weakness('what the network sees in a whole image')] : []),
    `Risk by the five readable features: AUROC ${risk.auroc.toFixed(3)}`,
    ...(risk.auroc < weakAuroc ? [weakness('what the features say')] : []),
    ...riskLines(risk),
  ];
}

/** What the risk model is, why it is of this kind and what it looks at. */
function riskLines(risk: Bundle['risk']): string[] {
  const { comparison } = risk;
  const aurocOf = ({ auroc, spread }: { auroc: number; spread: number }) =>
    `AUROC ${auroc.toFixed(3)} (spread ${spread.toFixed(3)})`;
  const compared =
    comparison &&
    `over ${comparison.divisions} divisions of the images the regression has ${aurocOf(comparison.logistic)}, boosted trees ${aurocOf(comparison.forest)}`;
  const listed = (textOf: (j: number) => string) => featureNames.map((name, j) => `${name} ${textOf(j)}`).join(', ');
  if (risk.kind === 'forest') {
    const splits = risk.trees.flatMap(({ features }) => features);
    return [
      `The risk is the sum of ${risk.trees.length} boosted trees of depth 2 instead of a logistic regression: ${compared}, better by more than the regression's spread`,
      `Splits of the trees by feature: ${listed((j) => String(splits.filter((feature) => feature === j).length))}`,
    ];
  }
  return [
    ...(compared
      ? [`The risk is a logistic regression: ${compared}, not better by more than the regression's spread`]
      : []),
    `Weights in the risk, near 0 for a feature that says nothing here: ${listed((j) => risk.weights[j]!.toFixed(2))}`,
  ];
}

function expectations({ images, falseAlarms }: Bundle): string[] {
  const more =
    images < 100
      ? 'More good images help most now: parts that lie differently from image to image need several hundred.'
      : 'More good images help where the good parts vary much.';
  return [
    `${falseAlarms ? `Flagged at this threshold: ${rateText(falseAlarms)} of good images` : 'About one good image in fifty to twelve is flagged at this threshold'}, more where production varies beyond the training images.`,
    more,
    'Run evaluate on labelled images of this product to know its misses.',
  ];
}

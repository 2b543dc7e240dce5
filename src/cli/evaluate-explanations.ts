import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import { bundleClassifier } from '../fit/bundle-classifier.js';
import {
  assertMethods,
  type EvaluateExplanationsOptions,
  type ExplainedImage,
  type ExplanationEvaluation,
  evaluateExplanations,
  judgedMethods,
} from '../fit/evaluate-explanations.js';
import {
  beatsChance,
  drawnLike,
  type FigureName,
  type FigureSummary,
  figureNames,
  isHigherBetter,
} from '../fit/explanation-figures.js';
import { isDrawn } from '../fit/image-explanations.js';
import type { Bundle } from '../shared/bundle.js';
import type { Config } from '../shared/config.js';
import { PatchlineError } from '../shared/errors.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import { loadClassifiers } from '../workers/load-classifiers.js';

/** What the command prints with --json under `explanations`. */
export interface ExplanationsReport extends ExplanationEvaluation {
  classifier: {
    /** The bundle's own, or that of the configuration. */
    of: 'bundle' | 'product';
    /** Whether it hardly tells defects from good images; null where nobody knows. */
    weak: boolean | null;
    /** What says so: of held-out images, and of this test set. */
    heldOutAuroc: number | null;
    testAuroc: number | null;
  };
  /** What is watched while pixels are changed. */
  measured: string;
}

export interface Explanations {
  report: ExplanationsReport;
  shown: ExplainedImage[];
}

/** What explanations are made of, and by what. */
export interface ExplanationPlan {
  methods: readonly string[];
  classifier: ExplainedClassifier;
  /** Whether the classifier is that of the configuration. */
  isOwn: boolean;
}

/**
 * The classifier that inspections of the product explain.
 *
 * @throws ARGUMENT_INVALID for a method that there is not, or that the network cannot be explained by, and what
 *   `loadClassifiers` throws
 */
export async function planExplanations(
  wanted: readonly string[],
  { products }: Config,
  { bundle, classifier: head }: LoadedBundle,
): Promise<ExplanationPlan> {
  const methods = assertMethods(wanted);
  const own = products[bundle.product];
  if (!own) {
    assertGradients(methods, bundle);
    return { methods, classifier: await bundleClassifier(bundle, head), isOwn: false };
  }
  const classifiers = await loadClassifiers({ products: { [bundle.product]: own } });
  return { methods, classifier: classifiers.get(bundle.product)!, isOwn: true };
}

/** Below this AUROC a classifier is weak, as in a bundle. */
const weakAuroc = 0.8;

/** @param testAuroc of the bundle's classifier on the test set */
export async function judgeExplanations(
  { isOwn, ...plan }: ExplanationPlan,
  testAuroc: number | null,
  options: Omit<EvaluateExplanationsOptions, 'classifier' | 'methods'>,
): Promise<Explanations> {
  const { evaluation, shown } = await evaluateExplanations({ ...options, ...plan });
  const head = options.bundle.bundle.classifier;
  const report: ExplanationsReport = {
    classifier: isOwn
      ? { of: 'product', weak: null, heldOutAuroc: null, testAuroc: null }
      : { of: 'bundle', weak: head.weak || (testAuroc ?? 1) < weakAuroc, heldOutAuroc: head.auroc, testAuroc },
    measured: `probability of a defect by the classifier of the ${isOwn ? 'product' : 'bundle'}`,
    ...evaluation,
  };
  return { report, shown };
}

/** Steps of quantisation have no gradient, so that an int8 network can be explained from its last layer on alone. */
function assertGradients(methods: readonly string[], { network, version }: Bundle): void {
  const wrong = network.kind === 'int8' && methods.find((name) => drawnLike(name) === 'random-pixels');
  if (!wrong) return;
  const possible = judgedMethods.filter((name) => drawnLike(name) !== 'random-pixels');
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected methods that need no gradient by the pixels, such as ${possible.join(', ')}, for the int8 network of bundle ${version} ` +
      `but received ${wrong}: fit with --network float for it`,
  );
}

/** How figures are called, and which way is better. */
export const figureTitles: Record<FigureName, string> = {
  energyInMask: 'energy in mask',
  pointingGame: 'points at mask',
  deletion: 'deletion',
  insertion: 'insertion',
  flipping: 'flipping',
  road: 'ROAD',
  severityDeletion: 'deletion (severity)',
};

/** In two or three digits; a star stands by what does not surely beat maps drawn by lot. */
export function figureText(figure: FigureName, summary: FigureSummary | null, method: string): string {
  if (!summary) return '';
  const value = figure === 'severityDeletion' ? summary.mean.toFixed(1) : summary.mean.toFixed(3);
  return isDrawn(method) || beatsChance(method, summary) ? value : `${value}*`;
}

const areaText = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(2));

/** What a reader has to know of the figures. */
export function remarksOn(report: ExplanationsReport): string[] {
  const { images, defective, withMask, maskShare, measured, meanProbability, noiseImages, classifier } = report;
  return [
    `${images} of ${defective} defective images, ${withMask} of them with a mask${maskShare === null ? '' : `, which marks ${(100 * maskShare).toFixed(1)} % of an image on average`}`,
    `deletion (pixels of a good image instead of the hottest), insertion (the hottest ones put into it), flipping (noise after ${noiseImages} good images) and ROAD watch the ${measured}, on average ${meanProbability.toFixed(3)} before a pixel is changed; deletion (severity) watches the anomaly score`,
    '* does not surely (95 %) beat a map drawn by lot: maps of regions are held against random-regions, maps of pixels against random-pixels',
    ...(classifier.weak
      ? [
          `the classifier is weak (AUROC ${areaText(classifier.heldOutAuroc)} of held-out images, ${areaText(classifier.testAuroc)} of this set): it hardly tells defects from good parts, so that what explains it says little about defects`,
        ]
      : []),
    ...(meanProbability < 0.5
      ? [
          'on average the classifier takes these defects for good parts: its explanations show what little speaks for a defect',
        ]
      : []),
  ];
}

export function describeExplanations(report: ExplanationsReport): string[] {
  const { methods } = report;
  const shown = figureNames.filter((figure) => Object.values(methods).some((method) => method[figure]));
  const width = Math.max(...Object.keys(methods).map((name) => name.length));
  const cell = (figure: FigureName, text: string) =>
    text.padStart(Math.max(figureTitles[figure].length, 'higher'.length) + 2);
  const row = (name: string, text: (figure: FigureName) => string) =>
    `  ${name.padEnd(width)}${shown.map((figure) => cell(figure, text(figure))).join('')}`;
  return [
    'explanations of defects:',
    row('', (figure) => figureTitles[figure]),
    row('better', (figure) => (isHigherBetter[figure] ? 'higher' : 'lower')),
    ...Object.entries(methods).map(([name, summary]) =>
      row(name, (figure) => figureText(figure, summary[figure], name)),
    ),
    ...remarksOn(report).map((remark) => `  ${remark}`),
  ];
}

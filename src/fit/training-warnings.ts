import type { Warning } from '../shared/contracts.js';
import type { OddImage } from '../shared/threshold-rule.js';
import { distinctImages } from './duplicates.js';
import { someOf } from './labelled-images.js';
import { formatRate } from './rate-text.js';
import { type SkippedImage, skipText } from './readable-images.js';
import type { ThresholdChoice } from './threshold.js';

/** Below it no threshold can be trusted. */
const trustedImages = 20;

/**
 * Of how many pairs of a good and a defective part in a hundred the defective one gets the higher score, by number of training
 * images: where good parts lie differently from image to image, and where they always lie the same. As measured.
 */
const rightPairs = [
  { images: 200, varied: 92, aligned: 98 },
  { images: 100, varied: 88, aligned: 98 },
  { images: 50, varied: 86, aligned: 97 },
  { images: 20, varied: 82, aligned: 97 },
  { images: 10, varied: 78, aligned: 95 },
] as const;
const [plenty, enough] = rightPairs;

export interface TrainingFindings {
  /** Of the training images. */
  names: readonly string[];
  skipped: readonly SkippedImage[];
  /** See `findDuplicates`. */
  firstOf: Int32Array;
  choice: ThresholdChoice;
  oddImages: readonly OddImage[];
}

/** What a person should know about the images that a bundle was learned from. */
export function trainingWarnings({ names, skipped, firstOf, choice, oddImages }: TrainingFindings): Warning[] {
  const distinct = distinctImages(firstOf).length;
  const warnings: Warning[] = [];
  const warn = (code: string, message: string) => void warnings.push({ code, message });
  if (distinct < enough.images) warn('FEW_TRAINING_IMAGES', fewImagesText(names.length, distinct));
  if (distinct < names.length) warn('DUPLICATE_IMAGES', duplicateText(names, firstOf, distinct));
  if (choice.rule === 'false-alarms' && choice.rate * distinct < 1) {
    warn('FALSE_ALARMS_EXTRAPOLATED', extrapolatedText(choice.rate, distinct));
  }
  if (oddImages.length > 0) warn('ODD_IMAGES', oddText(names, oddImages));
  if (skipped.length > 0) warn('TRAINING_IMAGES_SKIPPED', skipText(names.length + skipped.length, skipped));
  return warnings;
}

function fewImagesText(images: number, distinct: number): string {
  const measured = rightPairs.find((row) => row.images <= distinct);
  const row = measured ?? rightPairs.at(-1)!;
  const only = distinct < images ? `, ${distinct} of them different` : '';
  const missing = trustedImages - distinct;
  const trust = missing > 0 ? [`below ${trustedImages} no threshold can be trusted, ${missing} more would do`] : [];
  return [
    `Fitted from ${images} images${only}. Of 100 pairs of a good and a defective part, expect the defective one to get the higher score in ` +
      `${measured ? 'about' : 'fewer than'} ${row.varied} where good parts lie differently from image to image, ` +
      `${measured ? 'about' : 'fewer than'} ${row.aligned} where they always lie the same; with ${plenty.images} images in about ` +
      `${plenty.varied} and ${plenty.aligned}`,
    ...trust,
  ].join('; ');
}

function duplicateText(names: readonly string[], firstOf: Int32Array, distinct: number): string {
  const repeated = [...firstOf.keys()].filter((image) => firstOf[image] !== image);
  const pairs = repeated.map((image) => `${names[image]} as ${names[firstOf[image]!]}`);
  const advice = distinct < trustedImages ? `${trustedImages} would do` : 'the rest adds nothing';
  return `${repeated.length} of ${names.length} images show the same as another, so that ${distinct} are different; ${advice}: ${someOf(pairs)}`;
}

function extrapolatedText(rate: number, distinct: number): string {
  return (
    `Of ${distinct} good images none is as rare as ${formatRate(rate)} false alarms: the threshold follows from how the tail goes on; ` +
    `${Math.ceil(1 / rate)} images would do`
  );
}

function oddText(names: readonly string[], oddImages: readonly OddImage[]): string {
  const odd = oddImages.map(({ image }) => names[image]!);
  return `${odd.length} training images look least like the others: look at odd-images.jpg, remove what is not good and fit again: ${someOf(odd)}`;
}

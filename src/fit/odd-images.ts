import { basename } from 'node:path/posix';
import type { Bundle } from '../shared/bundle.js';
import { severityOf, smallestSpread } from '../shared/kernels/severity.js';
import type { ScoreSpread } from '../shared/patchcore/image-score.js';
import { pictureGridJpeg } from '../shared/plots/picture-grid.js';
import type { OddImage } from '../shared/threshold-rule.js';

/** Spreads above the median from which on an image is odd: of a normal distribution one in 740 images, whatever the threshold. */
const oddFactor = 3;
/** Shown in picture and card: as many as a person looks at. */
export const mostOddShown = 24;

/**
 * The training images that look least like the others, worst first: perhaps defects, blurred pictures or other parts.
 *
 * @param scores of the training images, held out
 */
export function findOddImages(
  scores: readonly number[],
  { median, spread, threshold }: ScoreSpread & { threshold: number },
): OddImage[] {
  const least = median + Math.max(oddFactor * spread, smallestSpread);
  return scores
    .map((score, image) => ({ score, image }))
    .filter(({ score }) => score >= least)
    .sort((a, b) => b.score - a.score)
    .map(({ score, image }) => ({ image, severity: severityOf(score, median, threshold) }));
}

/** A JPEG of the odd images with name and severity, for a person to decide about. */
export async function drawOddImages(bundle: Bundle, pictureOf: (image: number) => Promise<Uint8Array>) {
  const { product, version, oddImages, training } = bundle;
  const shown = oddImages.slice(0, mostOddShown);
  const entries = shown.map(async ({ image, severity }) => {
    const { name, height, width } = training.images[image]!;
    return { jpeg: await pictureOf(image), height, width, name: basename(name), detail: severityText(severity) };
  });
  return await pictureGridJpeg(
    {
      title: `Odd training images of ${product}, ${version}`,
      subtitle: `Worst ${shown.length} of ${oddImages.length}. Remove what is not good, and fit again.`,
    },
    await Promise.all(entries),
  );
}

export const severityText = (severity: number): string => `severity ${severity.toFixed(0)}`;

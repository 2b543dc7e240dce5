/**
 * The smallest distance between median and threshold that severity is measured by. Where all held-out scores are alike the true
 * one is 0; a result whose threshold lies closer to the median than this carries a warning.
 */
export const smallestSpread = 1e-6;

/**
 * How bad a score is, for people: 0 at the median of the held-out good scores, 100 at the threshold, linear between and beyond.
 * With no spread between the two it is still 100 at the threshold, so that it never contradicts the verdict.
 */
export function severityOf(score: number, median: number, threshold: number): number {
  return 100 + (100 * (score - threshold)) / Math.max(threshold - median, smallestSpread);
}

/** The score of a severity, with a scale between median and threshold that may be ever so small. */
export const scoreAt = (severity: number, median: number, threshold: number): number =>
  median + (severity / 100) * (threshold - median);

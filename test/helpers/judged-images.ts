import type { JudgedImage } from '../../src/fit/evaluate-images.js';

/** A judged image of 2 x 3 pixels (height x width), of a good part unless told otherwise. */
export function judgedImage(
  score: number,
  changes: Partial<JudgedImage> = {},
  defect: string | null = null,
): JudgedImage {
  const name = `test/${defect ?? 'good'}/${score}.jpg`;
  return {
    image: { name, path: name, defect },
    score,
    severity: 100 * score,
    isFlagged: score >= 1,
    classifierLogOdds: score,
    riskLogOdds: -score,
    anomalyMap: new Float32Array(6),
    ...changes,
  };
}

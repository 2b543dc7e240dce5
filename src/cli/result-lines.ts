import type { InspectionResult } from '../shared/contracts.js';

/** One line on a result: verdict, score against threshold, severity, image. */
export function describeResult(result: InspectionResult): string {
  if (result.status === 'failed') {
    return `failed     ${result.imageKey}  ${result.error.code}: ${result.error.message}`;
  }
  const { verdict, anomalyScore, threshold, severity, imageKey, status } = result;
  const score = `score ${anomalyScore.toFixed(3)} of ${threshold.toFixed(3)}`;
  const remarks = [...(status === 'incomplete' ? ['incomplete'] : []), ...result.warnings.map(({ code }) => code)];
  return `${verdict.padEnd(9)}  ${score}  severity ${severity.toFixed(0).padStart(4)}  ${imageKey}${remarks.map((text) => `  ${text}`).join('')}`;
}

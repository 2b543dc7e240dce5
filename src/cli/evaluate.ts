import { type Evaluation, evaluateBundle } from '../fit/evaluate.js';
import { requireActiveVersion } from '../producer/enqueue.js';
import { createCompute } from '../shared/compute.js';
import { loadBundle } from '../shared/loaded-bundle.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { answer, type CommonOptions, defineCommand, openSession } from './command-line.js';
import { createPhases } from './progress.js';

const percent = (rate: number | null): string => (rate === null ? 'unknown' : `${(100 * rate).toFixed(1)} %`);
const area = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(4));

function describe(evaluation: Evaluation): string[] {
  const { product, bundle, images, imageAuroc, pixelAuroc, aupro, f1Max, classifierAuroc, riskAuroc, threshold } =
    evaluation;
  return [
    `${product} ${bundle}: ${images} images, ${evaluation.imagesPerSecond.toFixed(1)} a second`,
    `image AUROC ${area(imageAuroc)}, pixel AUROC ${area(pixelAuroc)}, AUPRO (30 %) ${area(aupro)}, largest F1 ${area(f1Max)}`,
    `classifier AUROC ${area(classifierAuroc)}, risk AUROC ${area(riskAuroc)}`,
    `at the bundle's threshold ${threshold.toFixed(3)}: false alarms ${percent(evaluation.falseAlarmRate)}, misses ${percent(evaluation.missRate)}`,
    ...Object.entries(evaluation.perDefect).map(
      ([defect, { images: count, missRate, imageAuroc: auroc }]) =>
        `  ${defect.padEnd(16)} ${String(count).padStart(5)} images, misses ${percent(missRate)}, image AUROC ${area(auroc)}`,
    ),
  ];
}

export const evaluate = defineCommand(
  'evaluate <dir>',
  'Score a labelled set: DIR/test/good, DIR/test/<defect>, and DIR/ground_truth/<defect> with masks if there are any.',
  'patchline evaluate ./kol --product kol --json',
)
  .requiredOption('--product <name>', 'the product they show; its active bundle is evaluated')
  .action(async (directory: string, options: CommonOptions & { product: string }) => {
    const { store, config } = await openSession(options);
    const bundle = await loadBundle(store, options.product, await requireActiveVersion(store, options.product));
    const compute = createCompute({ threads: config.threads });
    const scorer = createScorer(compute, config);
    const phases = createPhases();
    try {
      const evaluation = await evaluateBundle({
        directory,
        bundle,
        scorer,
        compute,
        progress: phases.report,
      });
      phases.stop();
      answer(options, evaluation, describe(evaluation));
    } finally {
      phases.stop();
      await compute.close();
    }
  });

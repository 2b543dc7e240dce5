import { type Evaluation, evaluateBundle, type Interval } from '../fit/evaluate.js';
import { usualMethods } from '../fit/evaluate-explanations.js';
import { requireActiveVersion } from '../producer/enqueue.js';
import { createCompute } from '../shared/compute.js';
import { loadBundle } from '../shared/loaded-bundle.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { answer, type CommonOptions, defineCommand, openSession, remark, wholeNumber } from './command-line.js';
import { describeExplanations, judgeExplanations, planExplanations } from './evaluate-explanations.js';
import { createPhases } from './progress.js';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const area = (value: number | null): string => (value === null ? 'unknown' : value.toFixed(4));

function rate(value: number | null, interval: Interval | null): string {
  if (value === null || interval === null) return 'unknown';
  return `${percent(value)} (95 %: ${percent(interval[0])} to ${percent(interval[1])})`;
}

function describe(evaluation: Evaluation): string[] {
  const { product, bundle, images, imageAuroc, pixelAuroc, aupro, f1Max, classifierAuroc, riskAuroc } = evaluation;
  const { threshold, confusion, falseAlarmRate, falseAlarmInterval, missRate, missInterval } = evaluation;
  const good = confusion.goodPassed + confusion.falseAlarms;
  const defective = confusion.defectsFound + confusion.misses;
  return [
    `${product} ${bundle}: ${images} images, ${evaluation.imagesPerSecond.toFixed(1)} a second`,
    `image AUROC ${area(imageAuroc)}, pixel AUROC ${area(pixelAuroc)}, AUPRO (30 %) ${area(aupro)}, largest F1 ${area(f1Max)}`,
    `classifier AUROC ${area(classifierAuroc)}, risk AUROC ${area(riskAuroc)}`,
    `at the bundle's threshold ${threshold.toFixed(3)}:`,
    `  false alarms ${confusion.falseAlarms} of ${good} good images, ${rate(falseAlarmRate, falseAlarmInterval)}`,
    `  misses ${confusion.misses} of ${defective} defective images, ${rate(missRate, missInterval)}`,
    ...Object.entries(evaluation.perDefect).map(
      ([defect, { images, misses, imageAuroc, pixelAuroc }]) =>
        `  ${defect.padEnd(16)} misses ${String(misses).padStart(4)} of ${String(images).padEnd(5)} image AUROC ${area(imageAuroc)}, pixel AUROC ${area(pixelAuroc)}`,
    ),
    ...evaluation.warnings.map(({ code, message }) => `${code}: ${message}`),
  ];
}

interface EvaluateOptions extends CommonOptions {
  product: string;
  out?: string;
  explanations?: true | string[];
  explanationImages: number;
}

const names = (text: string): string[] => text.split(',').map((name) => name.trim());

export const evaluate = defineCommand(
  'evaluate <dir>',
  'Score a labelled set: DIR/test/good, DIR/test/<defect>, and DIR/ground_truth/<defect> with masks if there are any.',
  'patchline evaluate ./kol --product kol --out ./kol-report',
)
  .requiredOption('--product <name>', 'the product they show; its active bundle is evaluated')
  .option(
    '--out <dir>',
    'write a report with charts and the worst and clearest images, to look at with DIR/report.html',
  )
  .option(
    '--explanations [methods]',
    `judge explanations of defects, such as anomaly-map,grad-cam++,score-cam (default: ${usualMethods.join(',')})`,
    names,
  )
  .option('--explanation-images <n>', 'defective images that are explained, chosen by lot', wholeNumber(1), 50)
  .action(async (directory: string, options: EvaluateOptions) => {
    const { store, config } = await openSession(options);
    const bundle = await loadBundle(store, options.product, await requireActiveVersion(store, options.product));
    const compute = createCompute({ threads: config.threads });
    const scorer = createScorer(compute, config);
    const phases = createPhases();
    try {
      const { explanations: wanted } = options;
      const plan = wanted && (await planExplanations(wanted === true ? usualMethods : wanted, config, bundle));
      const progress = phases.report;
      const { evaluation, images } = await evaluateBundle({ directory, bundle, scorer, compute, progress });
      const { maxImageBytes } = config.limits;
      const parts = { images, bundle, store, compute, progress, maxImageBytes, mostImages: options.explanationImages };
      const explanations = plan && (await judgeExplanations(plan, evaluation.classifierAuroc, parts));
      phases.stop();
      if (options.out !== undefined) {
        const { writeReport } = await import('./evaluate-report.js'); // charts take longer to load than most commands to run
        remark(`report: ${await writeReport({ evaluation, images, bundle, scorer, explanations }, options.out)}`);
      }
      const report = { ...evaluation, ...(explanations && { explanations: explanations.report }) };
      answer(options, report, [
        ...describe(evaluation),
        ...(explanations ? describeExplanations(explanations.report) : []),
      ]);
    } finally {
      phases.stop();
      await compute.close();
    }
  });

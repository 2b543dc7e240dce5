import { changeThreshold, type ThresholdEffect } from '../fit/change-threshold.js';
import { rateText } from '../fit/rate-text.js';
import { requireActiveVersion } from '../producer/enqueue.js';
import { readBundle } from '../shared/bundle.js';
import { answer, type CommonOptions, defineCommand, openSession } from './command-line.js';
import { positive } from './threshold-options.js';

interface Options extends CommonOptions {
  severity: number;
  activate: boolean;
}

export const threshold = defineCommand(
  'threshold <product> [version]',
  'Set the threshold of a bundle by hand, as a severity on its own scale (100: its threshold now): a new version that shares everything else. Says what it would have done over good images that the bundle had not seen. Without a version, of the active one.',
  'patchline bundles threshold kol --severity 120',
)
  .requiredOption('--severity <number>', 'severity from which on an image is anomalous', positive)
  .option('--no-activate', 'do not inspect new images with it yet')
  .action(async (product: string, version: string | undefined, options: Options) => {
    const { store } = await openSession(options);
    const { severity, activate } = options;
    const base = await readBundle(store, product, version ?? (await requireActiveVersion(store, product)));
    const { bundle, before, after } = await changeThreshold(store, base, { severity, activate });
    const change = {
      product,
      version: bundle.version,
      base: base.version,
      severity,
      active: activate,
      before,
      after,
    };
    const state = activate ? 'is active' : 'is not active';
    answer(options, change, [
      `${product}: ${bundle.version} ${state}; it is ${base.version} with its threshold at severity ${severity}`,
      `threshold                   ${before.threshold.toFixed(3)} -> ${after.threshold.toFixed(3)}`,
      ...effectLines(before, after),
    ]);
  });

function effectLines(before: ThresholdEffect, after: ThresholdEffect): string[] {
  const flagged = ({ falseAlarms }: ThresholdEffect) => `${falseAlarms.count}, ${rateText(falseAlarms)}`;
  const lines = [
    `of ${before.falseAlarms.images} held-out good images flagged: ${flagged(before)} -> ${flagged(after)}`,
  ];
  if (before.misses && after.misses) {
    lines.push(`of ${before.misses.images} labelled defects missed: ${before.misses.count} -> ${after.misses.count}`);
  }
  return lines;
}

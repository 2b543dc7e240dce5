import { type ReconcileReport, reconcile as reconcileStore } from '../producer/reconcile.js';
import { type CleanReport, cleanStore } from '../producer/retention.js';
import { answer, type CommonOptions, date, defineCommand } from './command-line.js';
import { withConnection } from './connection.js';

export const describeReconcile = (report: ReconcileReport): string =>
  `${report.images} images: ${report.finished} have a result, ${report.live} are under way, ${report.enqueued} enqueued again, ` +
  `${report.failed} written down as failed, ${report.busy} held by a worker, ${report.collected} only collected, ` +
  `${report.unassigned} without product or bundle`;

export const describeClean = ({ work, images, results, captures }: CleanReport): string =>
  `deleted: ${work} work objects, ${images} images, ${results} objects of results, ${captures} ids of captures`;

export const reconcile = defineCommand(
  'reconcile',
  'Enqueue every image in the store that has neither a result nor a job, for example after Redis was lost.',
  'patchline reconcile --since 2026-01-31',
)
  .option('--since <date>', 'leave out images captured before this date', date)
  .option('--clean', 'then delete what the configuration does not want kept any longer (retention)')
  .action(async (options: CommonOptions & { since?: string; clean?: boolean }) => {
    await withConnection(options, async ({ producer, store, config }) => {
      const report = await reconcileStore(producer, { since: options.since });
      if (!options.clean) return answer(options, report, [describeReconcile(report)]);
      const deleted = await cleanStore(store, config.retention);
      answer(options, { ...report, deleted }, [describeReconcile(report), describeClean(deleted)]);
    });
  });

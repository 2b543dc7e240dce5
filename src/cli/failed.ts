import {
  dropFailed,
  type FailedInspection,
  listFailed,
  retryFailed,
  showFailed,
} from '../producer/failed-inspections.js';
import { PatchlineError } from '../shared/errors.js';
import { answer, type CommonOptions, defineCommand, defineGroup } from './command-line.js';
import { withConnection } from './connection.js';

const describe = ({ inspection, status, reasons }: FailedInspection): string =>
  `${inspection.inspectionId}  ${status ?? 'no result'}  ${inspection.imageKey}  ` +
  reasons.map(({ stage, code, message }) => `${stage}: ${code}: ${message}`).join('; ');

type ChoiceOptions = CommonOptions & { all?: boolean };

function chosen(ids: string[], { all }: ChoiceOptions): string[] | 'all' {
  if (all !== undefined && ids.length === 0) return 'all';
  if (all === undefined && ids.length > 0) return ids;
  throw new PatchlineError('ARGUMENT_INVALID', 'Expected inspection ids or --all');
}

const list = defineCommand(
  'list',
  'List failed and incomplete inspections with their reasons.',
  'patchline failed list',
).action(async (options: CommonOptions) => {
  await withConnection(options, async ({ producer }) => {
    const found = await listFailed(producer);
    answer(options, found, found.length === 0 ? ['nothing failed'] : found.map(describe));
  });
});

const show = defineCommand(
  'show <inspection>',
  'Show one of them.',
  'patchline failed show i-20260131-0123456789abcdef01234567',
).action(async (id: string, options: CommonOptions) => {
  await withConnection(options, async ({ producer }) => {
    const found = await showFailed(producer, id);
    answer(options, found, [describe(found), JSON.stringify(found.inspection, null, 2)]);
  });
});

const retry = defineCommand(
  'retry [inspection...]',
  'Inspect them again, from the start.',
  'patchline failed retry --all',
)
  .option('--all', 'all that failed list shows')
  .action(async (ids: string[], options: ChoiceOptions) => {
    const choice = chosen(ids, options);
    await withConnection(options, async ({ producer }) => {
      const report = await retryFailed(producer, choice);
      answer(options, report, [
        `${report.retried} enqueued again, ${report.busy} under way already, ${report.finished} done meanwhile`,
      ]);
    });
  });

const drop = defineCommand(
  'drop [inspection...]',
  'Take them off the list; their results stay.',
  'patchline failed drop --all',
)
  .option('--all', 'all that failed list shows')
  .action(async (ids: string[], options: ChoiceOptions) => {
    const choice = chosen(ids, options);
    await withConnection(options, async ({ producer }) => {
      const report = await dropFailed(producer, choice);
      answer(options, report, [`${report.dropped} dropped, ${report.busy} under way`]);
    });
  });

export const failed = defineGroup(
  'failed',
  'What failed for good or stayed incomplete: list, show, retry, drop.',
  'patchline failed list',
  [list, show, retry, drop],
);

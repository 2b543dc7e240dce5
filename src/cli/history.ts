import { rebuildHistory } from '../history/rebuild.js';
import { answer, type CommonOptions, defineCommand, defineGroup, openSession, remark } from './command-line.js';
import { drift } from './history-drift.js';
import { createPhases } from './progress.js';

const rebuild = defineCommand(
  'rebuild',
  'Make the history of inspections anew from the results and reviews in the store. Exit 1 if one cannot be read.',
  'patchline history rebuild --store ./patchline-data',
).action(async (options: CommonOptions) => {
  const { store } = await openSession(options);
  const phases = createPhases();
  try {
    const report = await rebuildHistory(store, (done, total) => phases.report({ phase: 'recording', done, total }));
    phases.stop();
    const { results, rows, removed, unreadable } = report;
    for (const { inspectionId, message } of unreadable) remark(`${inspectionId}: cannot be read: ${message}`);
    answer(options, report, [
      `${rows} of ${results} results recorded, ${unreadable.length} cannot be read, ${removed} rows without a result removed`,
    ]);
    if (unreadable.length > 0) process.exitCode = 1;
  } finally {
    phases.stop();
  }
});

export const history = defineGroup('history', 'The table of past inspections.', 'patchline history rebuild', [
  rebuild,
  drift,
]);

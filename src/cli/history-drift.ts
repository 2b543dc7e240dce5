import { heldOutScoresOf } from '../fit/change-threshold.js';
import { type DriftSearch, findDrift } from '../history/drift.js';
import { driftReference } from '../history/drift-reference.js';
import { requireHistory } from '../history/table.js';
import { listVersions, readBundle } from '../shared/bundle.js';
import { PatchlineError } from '../shared/errors.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { answer, type CommonOptions, date, defineCommand, openSession, remark } from './command-line.js';
import { describeDrift } from './drift-lines.js';

interface DriftOptions extends CommonOptions, DriftSearch {
  out?: string;
}

export const drift = defineCommand(
  'drift',
  'Compare severities and features of each day and camera with the good images that the bundle learned from, and raise an alarm when they move.',
  'patchline history drift --product kol --camera line-1 --since 2026-01-01 --out ./drift',
)
  .requiredOption('--product <name>', 'whose inspections')
  .option('--camera <name>', 'leave out those of other cameras')
  .option('--since <date>', 'leave out images captured before this date', date)
  .option('--out <dir>', 'write a report with charts, to look at with DIR/report.html')
  .action(async (options: DriftOptions) => {
    const { store } = await openSession(options);
    const { product } = options;
    await assertProduct(store, product);
    const found = await findDrift(await requireHistory(store), options, async (version) => {
      const bundle = await readBundle(store, product, version);
      return await driftReference(store, bundle, (await heldOutScoresOf(store, bundle)).good);
    });
    const report = { product, alarms: found.days.filter(({ level }) => level === 'alarm').length, ...found };
    if (options.out !== undefined) {
      const { writeDriftReport } = await import('./drift-report.js'); // charts take longer to load than most commands to run
      remark(`report: ${await writeDriftReport(report, options.out)}`);
    }
    answer(options, report, describeDrift(report, options));
  });

/** Nothing found under a wrong name would look as if nothing had moved. @throws BUNDLE_NOT_FOUND */
async function assertProduct(store: ObjectStore, product: string): Promise<void> {
  if ((await listVersions(store, product)).length > 0) return;
  throw new PatchlineError('BUNDLE_NOT_FOUND', `Expected a product with a bundle but received ${product}`);
}

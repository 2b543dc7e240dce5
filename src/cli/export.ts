import { Option } from 'commander';
import type { Verdict } from '../shared/contracts.js';
import { answer, type CommonOptions, date, defineCommand, openSession, remark } from './command-line.js';

interface Options extends CommonOptions {
  product: string;
  camera?: string;
  from?: string;
  to?: string;
  verdict?: Verdict;
  out: string;
}

export const exportResults = defineCommand(
  'export',
  'Write the results of a product to a CSV or Parquet file, one row per inspection.',
  'patchline export --product kol --from 2026-01-01 --to 2026-01-31 --out january.parquet',
)
  .requiredOption('--product <name>', 'product whose inspections are written')
  .option('--camera <name>', 'only those of one camera')
  .option('--from <date>', 'only images captured on that date (UTC) or later', date)
  .option('--to <date>', 'only images captured on that date (UTC) or earlier', date)
  .addOption(new Option('--verdict <verdict>', 'only those with this verdict').choices(['good', 'anomalous']))
  .requiredOption('--out <file>', 'file to write, ending in .csv or .parquet')
  .action(async ({ out, ...options }: Options) => {
    const { store } = await openSession(options);
    const { exportResults } = await import('../sinks/export/export-results.js');
    const report = await exportResults(store, { ...options, file: out });
    for (const { inspectionId, reason } of report.unreadable) remark(`left out: ${inspectionId}: ${reason}`);
    answer(options, { file: out, ...report }, [`${report.rows} rows of ${report.columns} columns in ${out}`]);
    if (report.unreadable.length > 0) process.exitCode = 1;
  });

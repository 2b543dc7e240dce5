import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Argument, InvalidArgumentError, Option } from 'commander';
import { cardLines, cardText } from '../fit/table/card-text.js';
import { readTrainingTable } from '../fit/table/csv-training-table.js';
import { type FittedTable, fitTable as fitModel, type Learner } from '../fit/table/fit-table.js';
import { type InspectionTarget, inspectionTargets, readInspections } from '../fit/table/inspection-training-table.js';
import { type Task, type TrainingTable, tasks } from '../fit/table/training-table.js';
import { createCompute } from '../shared/compute.js';
import { loadConfig } from '../shared/config.js';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { namePattern } from '../shared/keys.js';
import { writeNpy } from '../shared/npy.js';
import { jsonBytes } from '../shared/store/object-store.js';
import { writeTable } from '../shared/tables/csv-table.js';
import { answer, type CommonOptions, date, defineCommand, openSession, remark, wholeNumber } from './command-line.js';
import { backgroundBeside } from './model-companions.js';
import { createPhases } from './progress.js';

interface FitTableOptions extends CommonOptions {
  target?: string;
  model: Learner['model'];
  out: string;
  task?: Task;
  ignore?: string[];
  trees?: number;
  hidden?: number[];
  seed: number;
  fromInspections?: boolean;
  product?: string;
  camera?: string;
  since?: string;
}

const defaultTrees = 100;
const defaultHidden = [32, 16];

const names = (text: string): string[] => text.split(',').map((name) => name.trim());

const layers = (text: string): number[] => {
  const sizes = text.split(',').map((size) => (/^\d+$/.test(size.trim()) ? Number(size) : 0));
  if (sizes.every((size) => size >= 1 && size <= 1024)) return sizes;
  throw new InvalidArgumentError('Expected whole numbers from 1 to 1024, such as 32,16.');
};

export const fitTable = defineCommand(
  'fit-table',
  'Fit a model to a process table, or to the process data of inspections, and say which columns drive the target.',
  'patchline fit-table parts.csv --target scrap --model forest --out scrap.onnx\n' +
    'patchline fit-table --from-inspections --product kol --model forest --out severity.onnx',
)
  .addArgument(new Argument('[file]', 'the table, .csv with a line of column names'))
  .option('--target <column>', 'what is to be predicted; of inspections severity (default), anomalyScore or anomalous')
  .addOption(
    new Option('--model <kind>', 'a random forest, or a multilayer perceptron')
      .choices(['forest', 'mlp'])
      .makeOptionMandatory(),
  )
  .requiredOption('--out <file>', 'M.onnx; M.background.csv, M.node-cover.npy and M.card.* go beside it')
  .addOption(
    new Option('--task <kind>', 'default: classification of words and of 0 and 1, else regression').choices(tasks),
  )
  .option('--ignore <columns>', 'columns to leave out, separated by commas', names)
  .option('--trees <number>', `of a forest (default: ${defaultTrees})`, wholeNumber(1))
  .option('--hidden <sizes>', `units of the hidden layers of an mlp (default: ${defaultHidden})`, layers)
  .option('--seed <number>', 'the same seed gives the same model', wholeNumber(0), 0)
  .option('--from-inspections', 'learn from the results in the store that carry process data')
  .option('--product <name>', 'whose inspections')
  .option('--camera <name>', 'leave out inspections of other cameras')
  .option('--since <date>', 'leave out images captured before this date', date)
  .action(async (file: string | undefined, options: FitTableOptions) => {
    assertOptions(file, options);
    const { threads } = await loadConfig(options.config);
    const phases = createPhases();
    const compute = createCompute({ threads });
    try {
      const table = await readTable(file, options);
      await mkdir(dirname(options.out), { recursive: true }); // before the long work, which a wrong path would waste
      const report = phases.report;
      const fitted = await fitModel(table, { learner: learnerOf(options), seed: options.seed, compute, report });
      phases.stop();
      const files = await writeFitted(options.out, table.columns, fitted);
      answer(options, { ...fitted.card, files }, [...cardLines(fitted.card), ...files.map((each) => `wrote ${each}`)]);
    } finally {
      phases.stop();
      await compute.close();
    }
  });

function assertOptions(file: string | undefined, options: FitTableOptions): void {
  const { fromInspections, product, camera, since, target, ignore, task, model, trees, hidden, out } = options;
  if ((file === undefined) !== (fromInspections === true)) throw usage('Expected either a table or --from-inspections');
  if (fromInspections) {
    if (!namePattern.test(product ?? '')) {
      throw usage(
        `Expected a name that matches ${namePattern.source} for --product but received ${product ?? 'nothing'}`,
      );
    }
    if (target !== undefined && !inspectionTargets.some((each) => each === target)) {
      throw usage(`Expected one of ${inspectionTargets.join(', ')} for --target but received ${target}`);
    }
    if (ignore || task) throw usage('Expected --ignore and --task with a table only');
  } else {
    if (target === undefined) throw usage('Expected --target, the column that is to be predicted');
    if (product ?? camera ?? since)
      throw usage('Expected --product, --camera and --since with --from-inspections only');
  }
  if (model === 'forest' && hidden) throw usage('Expected --hidden with --model mlp only');
  if (model === 'mlp' && trees) throw usage('Expected --trees with --model forest only');
  if (!out.endsWith('.onnx')) throw usage(`Expected a name that ends in .onnx for --out but received ${out}`);
}

const usage = (message: string) => new PatchlineError('ARGUMENT_INVALID', message);

const learnerOf = ({ model, trees = defaultTrees, hidden = defaultHidden }: FitTableOptions): Learner =>
  model === 'forest' ? { model, trees } : { model, hidden };

async function readTable(file: string | undefined, options: FitTableOptions): Promise<TrainingTable> {
  const { target, ignore, task, product, camera, since } = options;
  if (file !== undefined) {
    const bytes = await readFile(file).catch((cause: unknown) => {
      throw usage(`Expected a table but ${messageOf(cause)}`);
    });
    return readTrainingTable(bytes, file, { target: target!, ignore, task });
  }
  const { store } = await openSession(options);
  remark(`reading the results of ${product}`);
  const search = { product: product!, camera, since, target: (target ?? 'severity') as InspectionTarget };
  return await readInspections(store, search);
}

/** Returns the paths of the files. */
async function writeFitted(
  out: string,
  columns: string[],
  { model, background, nodeCover, card }: FittedTable,
): Promise<string[]> {
  const stem = out.slice(0, -'.onnx'.length);
  const D = columns.length;
  const cells = (row: number) =>
    Array.from(background.subarray(row * D, (row + 1) * D), (value) => (Number.isNaN(value) ? '' : value));
  const usual = Array.from({ length: background.length / D }, (_, row) => cells(row));
  const files: [path: string, content: Uint8Array | string][] = [
    [out, model],
    [backgroundBeside(out), writeTable([columns, ...usual])],
    [`${stem}.card.json`, jsonBytes(card)],
    [`${stem}.card.md`, cardText(card)],
  ];
  if (nodeCover) {
    files.push([`${stem}.node-cover.npy`, writeNpy({ dtype: 'float64', shape: [nodeCover.length], data: nodeCover })]);
  }
  for (const [path, content] of files) await writeFile(path, content);
  return files.map(([path]) => path);
}

import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { Option } from 'commander';
import {
  type AttributionMethod,
  attribute as attributeRows,
  attributionMethods,
  type MethodAttribution,
} from '../explain/shap/attribute.js';
import { treeOps } from '../explain/shap/read-tree-ensemble.js';
import { featureCountOf, inputNamesOf, openTabularModel } from '../explain/shap/tabular-model.js';
import { type Compute, createCompute } from '../shared/compute.js';
import { loadConfig } from '../shared/config.js';

import { PatchlineError } from '../shared/errors.js';
import { featureNamesOf } from '../shared/onnx/feature-names.js';
import type { ModelProto } from '../shared/onnx/model.js';
import { readModelFile } from '../shared/onnx/model-file.js';
import {
  assertSameColumns,
  assertValues,
  inOrderOf,
  type RowsFile,
  readNodeCover,
  readRows,
} from './attribution-data.js';
import type { PlotOptions, PlotReport } from './attribution-plots.js';
import { describeAttribution, whatOf, writeAttribution } from './attribution-result.js';
import { answer, type CommonOptions, defineCommand, remark, wholeNumber } from './command-line.js';
import { backgroundBeside } from './model-companions.js';

import { createProgress } from './progress.js';

interface AttributeOptions extends CommonOptions {
  model: string;
  data: string;
  background?: string;
  method: AttributionMethod | 'auto';
  target?: number;
  output?: string;
  nodeCover?: string;
  explainOutput?: 'margin' | 'probability';
  plots?: boolean;
  row?: number;
  top: number;
  out: string;
}

export const attribute = defineCommand(
  'attribute',
  'Attribute the predictions of an ONNX model to the columns of its input, by Shapley values.',
  'patchline attribute --model forest.onnx --data parts.csv --background usual.csv --out ./attribution',
)
  .requiredOption('--model <file>', 'the model, .onnx')
  .requiredOption('--data <file>', 'rows to explain, .csv with column names or .npy')
  .requiredOption('--out <dir>', 'gets shap_values.npy, expected_value.npy and attributions.csv')
  .option(
    '--background <file>',
    'usual rows that they are compared with, .csv or .npy (default: MODEL.background.csv beside the model, if there is one)',
  )
  .addOption(
    new Option(
      '--method <name>',
      'auto: tree, linear or deep for such models, else exact for up to 16 columns, else kernel',
    )
      .choices(['auto', ...attributionMethods])
      .default('auto'),
  )
  .option('--target <k>', 'one output (default: all, on a last axis)', wholeNumber(0))
  .option('--output <name>', 'the output to explain (default: logits, else the only one of shape (N, K))')
  .option(
    '--node-cover <file>',
    '.npy: training weight of each tree node, in the order of the model; explains trees without a background',
  )
  .addOption(
    new Option(
      '--explain-output <scale>',
      'default: margins of trees and linear models, else the output as it stands',
    ).choices(['margin', 'probability']),
  )
  .option('--plots', 'draw summary, beeswarm, dependence and the waterfall of a row, as SVG and PNG, into --out')
  .addOption(
    new Option(
      '--row <n>',
      'the row of the waterfall, from 1 (default: where the prediction is farthest from what is usual)',
    )
      .argParser(wholeNumber(1))
      .implies({ plots: true }),
  )
  .addOption(
    new Option('--top <n>', 'features with a line of their own in summary and beeswarm')
      .argParser(wholeNumber(1))
      .default(20)
      .implies({ plots: true }),
  )
  .action(async (options: AttributeOptions) => {
    const { threads } = await loadConfig(options.config);
    const proto = await readModelFile(options.model);
    const { data, background } = await readData(options, proto);
    const model = openTabularModel(proto, data.axes, options.output);
    const n = data.rows.length / model.D;
    if (options.plots) assertPlottable(data, n, options);
    const progress = createProgress('attributing', n);
    let compute: Compute | undefined;
    try {
      const question = {
        rows: data.rows,
        background: background?.rows,
        nodeCover: options.nodeCover === undefined ? undefined : await readNodeCover(options.nodeCover),
        scale: options.explainOutput,
        target: options.target,
        onRows: (count: number) => {
          for (let row = 0; row < count; row++) progress.tick();
        },
      };
      const openCompute = () => {
        compute = createCompute({ threads });
        return compute;
      };
      const start = performance.now();
      const attribution = await attributeRows(model, options.method, question, threads > 1 ? openCompute : undefined);
      const explainMs = performance.now() - start;
      await mkdir(options.out, { recursive: true });
      const names = data.columns ?? background?.columns ?? featureNamesOf(proto) ?? columnNames(proto, model.D);
      const report = await writeAttribution(options.out, attribution, {
        data,
        names,
        output: model.output,
        explainMs,
      });
      progress.stop();
      if (options.plots) report.plots = await drawPlots(options, attribution, { data, names, what: whatOf(report) });
      answer(options, report, describeAttribution(report));
    } finally {
      progress.stop();
      await compute?.close();
    }
  });

async function readData(options: AttributeOptions, proto: ModelProto) {
  const D = featureCountOf(proto);
  const inputs = inputNamesOf(proto);
  const features = featureNamesOf(proto);
  const read = async (path: string, option: string) => {
    const file = await readRows(path, option, D, features);
    return inputs.length > 1 && inputs.length === D ? inOrderOf(inputs, file) : file;
  };
  const data = await read(options.data, '--data');
  const backgroundPath = options.background ?? foundBackground(options);
  const background = backgroundPath === undefined ? undefined : await read(backgroundPath, '--background');
  const takesMissing = proto.graph.node.some(({ opType }) => missingOps.includes(opType));
  if (background) assertSameColumns(data, background);
  for (const file of background ? [data, background] : [data]) assertValues(file, takesMissing);
  return { data, background };
}

/** A model with one of these knows what to do with a missing value. */
const missingOps = [...treeOps, 'Imputer', 'IsNaN'];

/** Usual rows beside the model, where no others are given. */
function foundBackground({ model, nodeCover }: AttributeOptions): string | undefined {
  const path = backgroundBeside(model);
  if (nodeCover !== undefined || !existsSync(path)) return undefined;
  remark(`comparing with the usual rows beside the model, ${path}: --background takes others`);
  return path;
}

/** Of a picture: more would make it higher than viewers can show. */
const mostLines = 200;

/** @throws SHAPE_MISMATCH, ARGUMENT_INVALID */
function assertPlottable({ axes, path }: RowsFile, n: number, { row, top }: AttributeOptions): void {
  if (axes.length > 1) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected rows of one axis for --plots but those of ${path} are (${axes.join(', ')}): patchline explain draws images`,
    );
  }
  const outside = (option: string, most: number, value: number) =>
    new PatchlineError('ARGUMENT_INVALID', `Expected a number from 1 to ${most} for ${option} but received ${value}`);
  if (row !== undefined && row > n) throw outside('--row', n, row);
  if (top > mostLines) throw outside('--top', mostLines, top);
}

/** Loads what draws charts only now: it takes a third of a second. */
async function drawPlots(
  { out, target, row, top }: AttributeOptions,
  attribution: MethodAttribution,
  described: Pick<PlotOptions, 'data' | 'names' | 'what'>,
): Promise<PlotReport> {
  const { writePlots } = await import('./attribution-plots.js');
  return await writePlots(out, attribution, {
    ...described,
    target,
    top,
    row: row === undefined ? undefined : row - 1,
  });
}

/** The inputs, where there is one for each column. */
function columnNames(proto: ModelProto, D: number): string[] {
  const inputs = inputNamesOf(proto);
  return inputs.length === D && D > 1 ? inputs : Array.from({ length: D }, (_, j) => `column ${j + 1}`);
}

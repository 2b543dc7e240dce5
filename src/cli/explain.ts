import { InvalidArgumentError, Option } from 'commander';
import { createDifferentiator } from '../explain/differentiator.js';
import { displayExplanation } from '../explain/display.js';
import { explainFaithfulness } from '../explain/faithfulness/explain.js';
import { defaultLayer, findLayers } from '../explain/layers.js';
import { type Explanation, type Method, methods, requireMethod } from '../explain/methods.js';
import { bindNetwork, type Network } from '../explain/network.js';
import { axesOf, type Question } from '../explain/question.js';
import { createCompute } from '../shared/compute.js';
import { loadConfig } from '../shared/config.js';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { readModelFile } from '../shared/onnx/model-file.js';
import { runGraphIn } from '../shared/onnx/run-graph.js';
import { answer, type CommonOptions, defineCommand } from './command-line.js';
import { type ExplainedInput, readBackground, readFloats, readInput } from './explain-input.js';
import { describeExplanation, type ExplanationReport, writeExplanation } from './explain-result.js';
import { createPhases, type Phases } from './progress.js';

interface ExplainOptions extends CommonOptions {
  model: string;
  input: string;
  method?: string;
  target?: number[];
  layer?: string;
  options?: unknown;
  background?: string;
  out?: string;
  output?: string;
  mean?: number[];
  std?: number[];
  scale?: '1' | '255';
  layout: 'nchw' | 'nhwc';
  raw?: boolean;
  check?: boolean;
  listLayers?: boolean;
}

const numbers = (text: string): number[] => {
  const values = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError('Expected numbers, one per channel, such as 0.485,0.456,0.406.');
};

const classNumbers = (text: string): number[] => {
  if (/^\d+(,\d+)*$/.test(text)) return text.split(',').map(Number);
  throw new InvalidArgumentError('Expected the number of a class, or some, such as 3,5.');
};

const json = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InvalidArgumentError(`Expected JSON such as '{"steps": 100}': ${messageOf(cause)}.`);
  }
};

export const explain = defineCommand(
  'explain',
  'Explain what an ONNX image classifier sees in an image, by any of its methods.',
  'patchline explain --model classifier.onnx --input part.jpg --method grad-cam++ --out ./explained',
)
  .requiredOption('--model <file>', 'the classifier, .onnx; weights in other files have to lie beside it')
  .requiredOption('--input <file>', 'an image, or .npy: float32, fed to the model as it stands')
  .option('--method <name>', Object.keys(methods).join(', '))
  .option(
    '--target <classes>',
    'classes to explain, such as 3 or 3,5 (default: that of the largest score)',
    classNumbers,
  )
  .option('--layer <tensor>', 'what class activation maps are made of (default: the last feature map)')
  .option('--options <json>', 'options of the method, such as \'{"steps": 100}\'', json)
  .option('--background <file>', '.npy: usual inputs, which deep-shap compares with and --check takes its noise from')
  .option('--out <file>', 'FILE.npy: the explanation alone; else a directory: explanation.npy and overlays')
  .option('--output <tensor>', 'the class scores (default: logits, else the only output of two axes)')
  .option('--mean <values>', 'subtracted from each channel of an image', numbers)
  .option('--std <values>', 'what each channel of an image is divided by then', numbers)
  .addOption(new Option('--scale <white>', 'what white is in an image (default: 1)').choices(['1', '255']))
  .addOption(new Option('--layout <axes>', 'of the input').choices(['nchw', 'nhwc']).default('nchw'))
  .option(
    '--raw',
    'write signed values before any display step: at the size of the layer, or in the shape of the input',
  )
  .option(
    '--check',
    'test what the method promises and, by 214 forward passes, whether changing what it names changes the score',
  )
  .option('--list-layers', 'print the layers that --layer may name, and end')
  .action(async (options: ExplainOptions) => {
    const { limits, threads } = await loadConfig(options.config);
    const prepared = options.listLayers ? undefined : prepareMethod(options);
    const model = await readModelFile(options.model);
    const { mean, std, scale = '1', layout } = options;
    const input = await readInput(options.input, model, { mean, std, scale: scale === '1' ? 1 : 255, layout }, limits);
    const network = await bindNetwork(model, input.x, options.output);
    if (!prepared) return printLayers(options, network);
    const background = options.background === undefined ? undefined : await readBackground(options.background, input.x);
    const report = await explainInput(prepared, options, network, { ...input, background }, threads);
    answer(options, report, describeExplanation(report));
  });

/** Everything that can be wrong with the arguments alone is said before a model is loaded. */
function prepareMethod(options: ExplainOptions) {
  const { method: name, out, raw = false } = options;
  if (name === undefined) throw usage(`Expected --method, one of ${Object.keys(methods).join(', ')}, or --list-layers`);
  if (out === undefined) throw usage('Expected --out, a .npy file or a directory');
  const method = requireMethod(name);
  const explainQuestion = method.prepare(options.options ?? {});
  const topLabels = method.topLabels?.(options.options ?? {}) ?? 1;
  assertFitting(options, name, method, topLabels);
  return { name, out, raw, method, topLabels, explainQuestion };
}

async function explainInput(
  { explainQuestion, topLabels, ...prepared }: ReturnType<typeof prepareMethod>,
  options: ExplainOptions,
  network: Network,
  input: ExplainedInput & Pick<Question, 'background'>,
  threads: number,
): Promise<ExplanationReport> {
  const { name, method } = prepared;
  const compute = createCompute({ threads });
  const phases = createPhases();
  try {
    const run = runGraphIn(compute);
    const differentiator = createDifferentiator(network, run);
    const scores = await differentiator.scores(input.x.data);
    const question: Question = {
      differentiator,
      run,
      ...input,
      targets: targetsOf(network, scores, options.target, topLabels),
      layer: options.layer,
      report: (done, total) => phases.report({ phase: name, done, total }),
    };
    const layer = method.layerOf?.(question);
    const explanation: Explanation = await explainQuestion(question, readFloats);
    const checked = options.check ? await check(method, question, explanation, phases) : {};
    phases.stop();
    return await writeExplanation({ ...prepared, question, explanation, scores, layer, ...checked });
  } finally {
    phases.stop();
    await compute.close();
  }
}

/** Options that mean nothing beside the method, the input or each other are refused. */
function assertFitting(options: ExplainOptions, name: string, method: Method, topLabels: number): void {
  if (options.layer !== undefined && method.kind !== 'map') {
    throw usage(`Expected --layer only beside methods that make class activation maps but received it beside ${name}`);
  }
  if (method.needsBackground && options.background === undefined) {
    throw usage(
      `Expected --background beside ${name}: a .npy file of some usual inputs, in the form of the input, that it compares with`,
    );
  }
  if (options.background !== undefined && !method.needsBackground && !options.check) {
    throw usage(`Expected --background only beside deep-shap or --check but received it beside ${name}`);
  }
  if (options.input.endsWith('.npy') && (options.mean ?? options.std ?? options.scale) !== undefined) {
    throw usage(
      'Expected --mean, --std and --scale only beside an image: a .npy file is fed to the model as it stands',
    );
  }
  if (options.target && topLabels > 1) {
    throw usage(
      `Expected either --target or the option topLabels but received both --target and topLabels ${topLabels}`,
    );
  }
}

/** What the method promises and, of images, whether the network looks where the explanation says. */
async function check(method: Method, question: Question, explanation: Explanation, phases: Phases) {
  const checks = (await explanation.check?.()) ?? [];
  if (question.x.dims.length !== 4) return { checks };
  const maps = explanation.maps.map((map) => displayExplanation(method.kind, map, axesOf(question)));
  const seed = 0;
  const faithfulness = await explainFaithfulness(question, maps, seed, (done, total) =>
    phases.report({ phase: 'faithfulness', done, total }),
  );
  return { checks, faithfulness };
}

/** T times the class of each sample: those asked for, else of each sample those of the largest scores, the largest first. */
function targetsOf(
  { classes, samples }: Network,
  scores: Float32Array,
  wanted: readonly number[] | undefined,
  topLabels: number,
): number[][] {
  const wrong = wanted?.find((target) => target >= classes);
  if (wrong !== undefined) throw usage(`Expected classes 0 to ${classes - 1} for --target but received ${wrong}`);
  if (wanted) return wanted.map((target) => new Array<number>(samples).fill(target));
  const ranked = Array.from({ length: samples }, (_, n) => {
    const row = scores.subarray(n * classes, (n + 1) * classes);
    if (row.includes(Number.NaN)) {
      throw new PatchlineError('VALUES_NOT_FINITE', `Expected class scores but received NaN for sample ${n}`);
    }
    return Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
  });
  return Array.from({ length: Math.min(topLabels, classes) }, (_, t) => ranked.map((order) => order[t]!));
}

function printLayers(options: ExplainOptions, network: Network): void {
  const layers = findLayers(network);
  const found = defaultLayer(layers)?.name;
  const listed = layers.map((layer) => ({ ...layer, default: layer.name === found }));
  const lines = listed.map(
    ({ name, op, dims, default: isDefault }) => `${name}  [${dims.join(', ')}]  ${op}${isDefault ? '  (default)' : ''}`,
  );
  answer(options, listed, lines.length > 0 ? lines : ['no feature maps (N, C, h, w)']);
}

const usage = (message: string) => new PatchlineError('ARGUMENT_INVALID', message);

import { access } from 'node:fs/promises';
import { createDifferentiator } from '../explain/differentiator.js';
import { defaultLayer, findLayers } from '../explain/layers.js';
import { bindNetwork, type Network } from '../explain/network.js';
import type { ClassifierSettings, Config } from '../shared/config.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import { suggestionFor } from '../shared/nearest-name.js';
import { type FinalActivation, findFinalActivation } from '../shared/onnx/final-activation.js';
import { opsetOf } from '../shared/onnx/gradient.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { type ImageInput, prepareImage, readImageInput } from '../shared/onnx/image-input.js';
import type { GraphProto, ModelProto, ValueInfoProto } from '../shared/onnx/model.js';
import { elementTypes } from '../shared/onnx/model.js';
import { readModelFile } from '../shared/onnx/model-file.js';
import { packModel } from '../shared/onnx/packed-model.js';
import { findPooledLinearHead, type PooledLinearHead } from '../shared/onnx/pooled-linear-head.js';
import { runGraphOnce } from '../shared/onnx/run-graph.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { defectScore, explainByClassifier, type UserClassifier } from './user-classifier.js';

/** For a network that takes any size; the images that it is run on later have the size that the bundle scores. */
const trialSide = 224;

/**
 * The classifiers that the configuration names, by product, each checked by explaining a made-up image, so that a worker does
 * not start with one that cannot be explained.
 *
 * @throws CONFIG_INVALID, MODEL_DAMAGED, MODEL_INPUT_MISMATCH, CLASSIFIER_NOT_SUPPORTED, OP_NOT_SUPPORTED, GRADIENT_UNREACHABLE,
 * EXPLANATION_INCONSISTENT, VALUES_NOT_FINITE, naming product and file
 */
export async function loadClassifiers({ products }: Pick<Config, 'products'>): Promise<Map<string, UserClassifier>> {
  const classifiers = new Map<string, UserClassifier>();
  for (const [product, { classifier }] of Object.entries(products)) {
    if (!classifier) continue;
    try {
      classifiers.set(product, await loadClassifier(classifier));
    } catch (error) {
      if (!(error instanceof PatchlineError)) throw error;
      const message = `classifier of product ${product}, ${classifier.model}: ${error.message}`;
      throw new PatchlineError(error.code, message, { details: error.details, cause: error });
    }
  }
  return classifiers;
}

async function loadClassifier(settings: ClassifierSettings): Promise<UserClassifier> {
  await access(settings.model).catch((cause: unknown) => {
    throw new PatchlineError('CONFIG_INVALID', `Expected a readable ONNX file but ${messageOf(cause)}`, { cause });
  });
  const file = await readModelFile(settings.model);
  const input = readImageInput(file.graph, settings);
  const output = scoresOutput(file.graph, settings.output);
  const end = findFinalActivation(file, output);
  const { model, scores } = withScores(file, end.logits);
  const image = trialImage(input);
  const network = await bindNetwork(model, image, scores);
  requireClasses(network, end, opsetOf(model));

  const head = pooledLinearHeadOf(file, output);
  const layer = layerOf(network, settings.layer, head?.layer);
  const closed = head && isClosedForm(head, layer, network, input) ? head : undefined;
  const { classes } = network;
  const named = defectOf(classes, settings);
  const packed = packModel(withOutputs(model, closed ? [scores, layer] : [scores]));
  const classifier: UserClassifier = {
    model: { ...packed, bytes: shareModel(packed.bytes).bytes },
    input,
    layer,
    scores,
    classes,
    ...named,
    activation: end.kind === 'sigmoid' && classes > 1 ? 'sigmoid' : 'softmax',
    ...(closed && { closedForm: closedFormOf(closed, defectScore({ classes, defect: named.defect })) }),
  };
  await explainByClassifier(classifier, image, runGraphOnce, async () => createDifferentiator(network, runGraphOnce));
  return classifier;
}

/** `wanted`, else the output named `logits`, else the only one, else the only one of two axes. */
function scoresOutput({ output }: GraphProto, wanted?: string): string {
  const floats = output.filter(isFloat);
  const names = floats.map(({ name }) => name);
  const matrices = floats.filter(({ type }) => type?.tensorType?.shape?.dim.length === 2);
  const [only, another] = names.length === 1 ? names : matrices.map(({ name }) => name);
  const fallback = names.includes('logits') ? 'logits' : another === undefined ? only : undefined;
  const found = wanted === undefined ? fallback : names.find((name) => name === wanted);
  if (found !== undefined) return found;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected the name of the class scores for output, one of ${names.join(', ')}, but received ${wanted ?? 'none'}`,
  );
}

const floatTypes: number[] = [elementTypes.float16, elementTypes.float32, elementTypes.float64];
const isFloat = ({ type }: ValueInfoProto) => !type?.tensorType || floatTypes.includes(type.tensorType.elemType);

/** The network up to its class scores, whatever their axes are, as one row: (1, K). */
function withScores(model: ModelProto, logits: string): { model: ModelProto; scores: string } {
  const graph = createGraphBuilder({ base: model });
  const scores = graph.add('Flatten', [logits], { axis: 0 }, `scores of ${logits}`);
  graph.output(scores);
  return { model: withOutputs(graph.build(), [scores]), scores };
}

/** Without types, because onnxruntime infers them. */
function withOutputs(model: ModelProto, names: string[]): ModelProto {
  return { ...model, graph: { ...model.graph, output: names.map((name) => ({ name })) } };
}

function trialImage(input: ImageInput) {
  const { height = trialSide, width = trialSide } = input;
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 256);
  return prepareImage(pixels, height, width, input);
}

/** One score for each class, and a softmax, if there is one, over just these. */
function requireClasses({ tensors, classes }: Network, { logits, softmax }: FinalActivation, opset: number): void {
  const { dims } = tensors.get(logits)!;
  if (classes !== Math.max(1, ...dims)) {
    const message = `Expected one score for each class, [1, classes], in ${logits} but received [${dims.join(', ')}]`;
    throw new PatchlineError('CONFIG_INVALID', message);
  }
  if (!softmax) return;
  const axis = softmax.axis < 0 ? softmax.axis + dims.length : softmax.axis;
  const count = opset < 13 ? dims.slice(axis).reduce((product, size) => product * size, 1) : dims[axis];
  if (classes > 1 && count === classes) return;
  throw new PatchlineError(
    'CLASSIFIER_NOT_SUPPORTED',
    `Expected a softmax over two or more classes after ${logits} [${dims.join(', ')}] but received one along axis ` +
      `${softmax.axis}, over ${count}: of a single value it is always 1`,
  );
}

function pooledLinearHeadOf(model: ModelProto, output: string): PooledLinearHead | undefined {
  try {
    return findPooledLinearHead(model, output);
  } catch (error) {
    if (codeOf(error) === 'CLASSIFIER_NOT_SUPPORTED') return undefined; // its gradient is found the general way
    throw error;
  }
}

/**
 * The tensor that is explained: the one `wanted`, else the one that `patchline explain` takes, else the one that is pooled, which
 * quantised networks have too.
 */
function layerOf(network: Network, wanted: string | undefined, pooled: string | undefined): string {
  const layers = findLayers(network);
  const name = wanted ?? defaultLayer(layers)?.name ?? pooled;
  const { dims, type } = network.tensors.get(name ?? '') ?? {};
  const isMade = network.model.graph.node.some(({ output }) => output.includes(name ?? ''));
  if (name !== undefined && isMade && dims?.length === 4 && dims[0] === 1 && type?.startsWith('float')) return name;
  const names = layers.map((layer) => layer.name);
  const received = dims ? `${name}, ${type} [${dims.join(', ')}]` : name && `${name}, which no node makes`;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected a feature map, float [1, channels, height, width], for layer but received ${received ?? 'none'}` +
      `${name ? suggestionFor(name, names) : ''}; there are ${names.join(', ') || 'none that are found by themselves'}`,
  );
}

/** Whether the head says all about how the scores depend on this layer; an AveragePool takes the global average of one size only. */
function isClosedForm(
  head: PooledLinearHead,
  layer: string,
  { tensors }: Network,
  { height, width }: ImageInput,
): boolean {
  const { dims = [], type } = tensors.get(layer) ?? {};
  const [, C, h, w] = dims;
  const { mapSize } = head;
  const isFixed = height !== undefined && width !== undefined;
  const isGlobal = !mapSize || (isFixed && mapSize.height === h && mapSize.width === w);
  return head.layer === layer && isGlobal && type === 'float32' && dims.length === 4 && C === head.channels;
}

/** Which class means a defect, and what the classes are called. */
function defectOf(classes: number, settings: ClassifierSettings): Pick<UserClassifier, 'defect' | 'labels'> {
  const count = Math.max(classes, 2);
  const { defect = count === 2 ? 1 : undefined, labels } = settings;
  if (defect === undefined || defect >= count) {
    const received = defect ?? 'none';
    const message = `Expected the index of the class that means a defect, 0 to ${count - 1}, for defect but received ${received}`;
    throw new PatchlineError('CONFIG_INVALID', message);
  }
  if (labels && labels.length !== count) {
    const message = `Expected ${count} names for labels, one for each class, but received ${labels.length}`;
    throw new PatchlineError('CONFIG_INVALID', message);
  }
  const other = (index: number) => (count === 2 ? 'good' : `class ${index}`); // it may be another kind of defect
  const names = Array.from({ length: count }, (_, index) => (index === defect ? 'defect' : other(index)));
  return { defect, labels: labels ?? names };
}

function closedFormOf({ channels, weights, bias }: PooledLinearHead, { row, sign }: ReturnType<typeof defectScore>) {
  const ofRow = weights.slice(row * channels, (row + 1) * channels);
  return { weights: ofRow.map((weight) => sign * weight), bias: sign * bias[row]! };
}

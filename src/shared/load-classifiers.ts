import { readFile } from 'node:fs/promises';
import type { InferenceSession } from 'onnxruntime-node';
import type { ClassifierSettings, Config } from './config.js';
import { messageOf, PatchlineError } from './errors.js';
import { prepareImage, readImageInput } from './onnx/image-input.js';
import { type GraphProto, type ModelProto, readModel, writeModel } from './onnx/model.js';
import { findPooledLinearHead, type PooledLinearHead } from './onnx/pooled-linear-head.js';
import { createSession, isOfUnknownOp } from './onnx/session.js';
import { shareModel } from './onnx/session-cache.js';
import { runClassifier, type UserClassifier } from './user-classifier.js';

type MapSize = NonNullable<PooledLinearHead['mapSize']>;

/** For a network that takes any size; the images that it is run on later have the size that the bundle scores. */
const trialSide = 224;

/**
 * The classifiers that the configuration names, by product, each checked by a run on a made-up image, so that a worker does not
 * start with one that cannot be explained.
 *
 * @throws CONFIG_INVALID, MODEL_DAMAGED, MODEL_INPUT_MISMATCH, CLASSIFIER_NOT_SUPPORTED, OP_NOT_SUPPORTED,
 * EXPLANATION_INCONSISTENT, naming product and file
 */
export async function loadClassifiers({ products }: Pick<Config, 'products'>): Promise<Map<string, UserClassifier>> {
  const classifiers = new Map<string, UserClassifier>();
  for (const [product, { classifier }] of Object.entries(products)) {
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
  const model = await readModelFile(settings.model);
  const input = readImageInput(model.graph, settings);
  const head = findPooledLinearHead(model, scoresOutput(model.graph, settings.output));
  requireLayer(model.graph, head, settings.layer);
  const bytes = writeModel(withOutputs(model, [head.layer, head.logits]));
  const classifier: UserClassifier = {
    model: shareModel(bytes),
    input,
    layer: head.layer,
    logits: head.logits,
    classes: head.classes,
    ...defectOf(head, settings),
    activation: head.activation === 'sigmoid' && head.classes > 1 ? 'sigmoid' : 'softmax',
  };
  await tryOut(bytes, classifier, head.mapSize);
  return classifier;
}

async function readModelFile(path: string): Promise<ModelProto> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PatchlineError('CONFIG_INVALID', `Expected a readable ONNX file but ${messageOf(cause)}`, { cause });
  });
  const model = readModel(bytes, 'the file');
  const elsewhere = model.graph.initializer.find(({ dataLocation }) => dataLocation === 1);
  if (elsewhere) {
    throw new PatchlineError(
      'CLASSIFIER_NOT_SUPPORTED',
      `Expected all weights in this one file but ${elsewhere.name} lies in another: save the model without external data`,
    );
  }
  return model;
}

/** `wanted`, else the output named `logits`, else the only one, else the only one of two axes. */
function scoresOutput({ output }: GraphProto, wanted?: string): string {
  const names = output.map(({ name }) => name);
  const matrices = output.filter(({ type }) => type?.tensorType?.shape?.dim.length === 2);
  const [only, another] = names.length === 1 ? names : matrices.map(({ name }) => name);
  const fallback = names.includes('logits') ? 'logits' : another === undefined ? only : undefined;
  const found = wanted === undefined ? fallback : names.find((name) => name === wanted);
  if (found !== undefined) return found;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected the name of the class scores for output, one of ${names.join(', ')}, but received ${wanted ?? 'none'}`,
  );
}

function requireLayer({ node }: GraphProto, { layer }: PooledLinearHead, wanted = layer): void {
  if (wanted === layer) return;
  const exists = node.some(({ output }) => output.includes(wanted));
  throw new PatchlineError(
    exists ? 'CLASSIFIER_NOT_SUPPORTED' : 'CONFIG_INVALID',
    `Expected ${layer}, the tensor under the global average pooling, for layer but received ${wanted}` +
      (exists ? ': other layers cannot be explained so far' : ', which no node makes'),
  );
}

/** Without a type, because onnxruntime infers it. */
function withOutputs(model: ModelProto, names: string[]): ModelProto {
  const declared = new Map(model.graph.output.map((output) => [output.name, output]));
  return { ...model, graph: { ...model.graph, output: names.map((name) => declared.get(name) ?? { name }) } };
}

/** Which class means a defect, what the classes are called and what the defect's score is made of. */
function defectOf({ classes, channels, weights, bias, activation }: PooledLinearHead, settings: ClassifierSettings) {
  const count = Math.max(classes, 2);
  const { defect = count === 2 ? 1 : undefined, labels } = settings;
  if (classes === 1 && (activation === 'softmax' || activation === 'log-softmax')) {
    const message = 'Expected a sigmoid or nothing after a single score but received a softmax, which is always 1';
    throw new PatchlineError('CLASSIFIER_NOT_SUPPORTED', message);
  }
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
  const [row, sign] = classes === 1 ? [0, defect === 1 ? 1 : -1] : [defect, 1];
  return {
    defect,
    labels: labels ?? Array.from({ length: count }, (_, index) => (index === defect ? 'defect' : other(index))),
    weights: weights.slice(row * channels, (row + 1) * channels).map((weight) => sign * weight),
    bias: sign * bias[row]!,
  };
}

async function tryOut(bytes: Uint8Array, classifier: UserClassifier, mapSize?: MapSize): Promise<void> {
  const { height = trialSide, width = trialSide } = classifier.input;
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 37) % 256);
  const session = await openSession(bytes);
  try {
    if (mapSize) requireWholeMap(session, classifier.layer, mapSize);
    await runClassifier(session, classifier, prepareImage(pixels, height, width, classifier.input));
  } catch (cause) {
    if (cause instanceof PatchlineError) throw cause;
    const message = `Expected a network that runs on an image of ${height} x ${width} (height x width) but ${messageOf(cause)}`;
    throw new PatchlineError('MODEL_INPUT_MISMATCH', message, { cause });
  } finally {
    await session.release();
  }
}

/** An AveragePool takes the global average only of a map that is known to have the size of its window. */
function requireWholeMap({ outputMetadata }: InferenceSession, layer: string, { height, width }: MapSize): void {
  const metadata = outputMetadata.find(({ name }) => name === layer);
  const [, , h, w] = metadata?.isTensor ? metadata.shape : [];
  if (h === height && w === width) return;
  throw new PatchlineError(
    'CLASSIFIER_NOT_SUPPORTED',
    `Expected an AveragePool over the whole of ${layer} but it averages over ${height} x ${width} of ${h} x ${w} positions ` +
      '(height x width): only a global average can be explained so far',
  );
}

async function openSession(bytes: Uint8Array): Promise<InferenceSession> {
  try {
    return await createSession(bytes);
  } catch (cause) {
    const code = isOfUnknownOp(cause) ? 'OP_NOT_SUPPORTED' : 'MODEL_DAMAGED';
    throw new PatchlineError(code, `Expected a network that onnxruntime can run but ${messageOf(cause)}`, { cause });
  }
}

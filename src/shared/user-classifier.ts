import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { PatchlineError } from './errors.js';
import type { ImageInput } from './onnx/image-input.js';
import type { SharedModel } from './onnx/session-cache.js';

/** A product's own good/defect classifier, checked and ready to explain. */
export interface UserClassifier {
  /** Its outputs are `layer` and `logits`. */
  model: SharedModel;
  input: ImageInput;
  /** Tensor (1, C, h, w) */
  layer: string;
  logits: string;
  /** (C): the score of a defect is weights · mean of each channel of `layer` + bias. */
  weights: Float64Array;
  bias: number;
  /** Scores in `logits`: one alone stands for two classes. */
  classes: number;
  /** Index of the class that means a defect. */
  defect: number;
  /** One for each class. */
  labels: string[];
  /** How scores become probabilities; one score alone: softmax of (0, score). */
  activation: 'softmax' | 'sigmoid';
}

export interface ClassifierRun {
  /** (C, h, w) of the layer that is explained. */
  activations: Float32Array;
  shape: [C: number, h: number, w: number];
  /** One for each class, or one alone. */
  logits: Float32Array;
}

/**
 * Runs a product's own classifier on one prepared image and checks that its score of a defect is the linear function of the
 * layer that its explanation takes it for.
 *
 * @throws CLASSIFIER_NOT_SUPPORTED where the layer has another form, EXPLANATION_INCONSISTENT where the scores differ
 */
export async function runClassifier(
  session: InferenceSession,
  classifier: UserClassifier,
  { data, dims }: { data: Float32Array; dims: number[] },
): Promise<ClassifierRun> {
  const results = await session.run({ [classifier.input.name]: new Tensor('float32', data, dims) });
  const [layer, scores] = [results[classifier.layer]!, results[classifier.logits]!];
  const [batch, C, h, w] = layer.dims as [number, number, number, number];
  const isMap = layer.dims.length === 4 && batch === 1 && C === classifier.weights.length;
  if (!isMap || layer.type !== 'float32' || scores.type !== 'float32' || scores.size !== classifier.classes) {
    const { weights, classes } = classifier;
    throw new PatchlineError(
      'CLASSIFIER_NOT_SUPPORTED',
      `Expected float32 [1, ${weights.length}, height, width] for ${classifier.layer} and ${classes} float32 scores but ` +
        `received ${layer.type} [${layer.dims}] and ${scores.size} scores of type ${scores.type}`,
    );
  }
  const run: ClassifierRun = {
    activations: layer.data as Float32Array,
    shape: [C, h, w],
    logits: scores.data as Float32Array,
  };
  assertLinear(run, classifier);
  return run;
}

function assertLinear(
  { activations, logits, shape }: ClassifierRun,
  { weights, bias, defect, logits: name }: UserClassifier,
) {
  const positions = shape[1] * shape[2];
  let linear = bias;
  let size = Math.abs(bias);
  for (let i = 0; i < activations.length; i++) {
    const part = (weights[Math.floor(i / positions)]! * activations[i]!) / positions;
    linear += part;
    size += Math.abs(part);
  }
  const received = logits.length === 1 ? (defect === 1 ? logits[0]! : -logits[0]!) : logits[defect]!;
  if (Math.abs(received - linear) <= 1e-3 * size + 1e-6) return; // false for NaN
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected the score ${linear} of class ${defect} in ${name}, as its pooled layer gives it, but received ${received}`,
  );
}

/** The likeliest class and the probability of a defect; one score z stands for the scores (0, z) of two classes. */
export function judge(logits: Float32Array, { activation, defect, labels }: UserClassifier) {
  const scores = logits.length === 1 ? [0, logits[0]!] : [...logits];
  const largest = Math.max(...scores);
  const likeliest = scores[defect] === largest ? defect : scores.indexOf(largest);
  const powers = scores.map((score) => Math.exp(score - largest));
  const probability =
    activation === 'sigmoid'
      ? 1 / (1 + Math.exp(-scores[defect]!))
      : powers[defect]! / powers.reduce((sum, power) => sum + power, 0);
  return { label: labels[likeliest]!, probability };
}

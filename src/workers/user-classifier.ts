import { gradCamPlusPlus, pooledLinearGradCamPlusPlus } from '../explain/cam/grad-cam-plus-plus.js';
import type { Differentiator } from '../explain/differentiator.js';
import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import { PatchlineError } from '../shared/errors.js';
import type { FloatTensor, RunGraph } from '../shared/onnx/run-graph.js';

// The explained layer is (1, C, h, w), the scores are (1, K).

/** A product's own good/defect classifier, checked and ready to explain. */
export interface UserClassifier extends ExplainedClassifier {
  /** One for each class. */
  labels: string[];
  /** Where the score of a defect is weights (C) · mean of each channel of `layer` + bias: it needs no backward pass. */
  closedForm?: { weights: Float64Array; bias: number };
}

export interface ClassifierRun {
  /** Grad-CAM++ of the score of a defect, (h, w), signed. */
  map: Float32Array;
  h: number;
  w: number;
  /** (K) */
  scores: Float32Array;
}

/**
 * Runs a product's own classifier on one prepared image and explains its score of a defect: by the closed form where there is
 * one, else by what `differentiatorFor` returns for images of these dims.
 *
 * @throws EXPLANATION_INCONSISTENT where the score is not what the closed form takes it for, VALUES_NOT_FINITE
 */
export async function explainByClassifier(
  classifier: UserClassifier,
  image: FloatTensor,
  run: RunGraph,
  differentiatorFor: () => Promise<Differentiator>,
): Promise<ClassifierRun> {
  return classifier.closedForm
    ? await explainInClosedForm(classifier, classifier.closedForm, image, run)
    : await explainByGradient(classifier, image, await differentiatorFor());
}

async function explainInClosedForm(
  { model, input, layer, ...classifier }: UserClassifier,
  closedForm: { weights: Float64Array; bias: number },
  image: FloatTensor,
  run: RunGraph,
): Promise<ClassifierRun> {
  const results = await run(model, { [input.name]: image });
  const [{ data, dims }, { data: scores }] = [results[layer]!, results[classifier.scores]!];
  const [, C, h, w] = dims as [number, number, number, number];
  const { map } = pooledLinearGradCamPlusPlus(data, closedForm.weights, C, h, w);
  const { row, sign } = defectScore(classifier);
  assertLinear(data, h * w, closedForm, sign * scores[row]!);
  return { map, h, w, scores };
}

function assertLinear(
  activations: Float32Array,
  positions: number,
  { weights, bias }: { weights: Float64Array; bias: number },
  received: number,
) {
  let linear = bias;
  let size = Math.abs(bias);
  for (let i = 0; i < activations.length; i++) {
    const part = (weights[Math.floor(i / positions)]! * activations[i]!) / positions;
    linear += part;
    size += Math.abs(part);
  }
  if (Math.abs(received - linear) <= 1e-3 * size + 1e-6) return; // false for NaN
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected ${linear} for the score of a defect, as the pooled layer gives it, but received ${received}`,
  );
}

async function explainByGradient(
  { layer, classes, defect }: UserClassifier,
  image: FloatTensor,
  differentiator: Differentiator,
): Promise<ClassifierRun> {
  const { row, sign } = defectScore({ classes, defect });
  const seed = new Float32Array(classes);
  seed[row] = sign;
  const { activations, gradients, scores } = await differentiator.layerGradient(layer, image.data, seed);
  const [, C, h, w] = activations.dims as [number, number, number, number];
  const { map } = gradCamPlusPlus(activations.data, gradients, C, h, w);
  if (map.every(Number.isFinite) && scores.every(Number.isFinite)) return { map, h, w, scores };
  const message = `Expected finite values for the gradient of the score of a defect by ${layer} but received others`;
  throw new PatchlineError('VALUES_NOT_FINITE', message);
}

/** One score z stands for the scores (0, z) of two classes: that of the first is -z as well as 0 is. */
export const defectScore = ({ classes, defect }: Pick<UserClassifier, 'classes' | 'defect'>) =>
  classes > 1 ? { row: defect, sign: 1 } : { row: 0, sign: defect === 1 ? 1 : -1 };

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

import { PatchlineError } from '../../shared/errors.js';
import { type Attribution, meanRow, type Question, requireBackground } from './attribution.js';
import type { RowFunction } from './coalitions.js';
import { exactModelShap, maxExactFeatures } from './exact-model.js';
import { kernelShap } from './kernel-shap.js';
import { nodeNotSupported } from './node-attributes.js';
import { treeOps } from './read-tree-ensemble.js';
import { createRowRunner, skipPassing, type TabularModel, withOutputs } from './tabular-model.js';

/** What turns scores into probabilities. */
export const activationOps: readonly string[] = ['Softmax', 'Sigmoid', 'LogSoftmax'];

/**
 * Shapley values of any model, interventional, from its predictions alone.
 *
 * @throws ARGUMENT_INVALID for more features than `exact` can do
 */
export async function attributeModel(
  model: TabularModel,
  method: 'exact' | 'kernel',
  question: Question,
): Promise<Attribution> {
  const background = requireBackground(question, method);
  const { D } = model;
  if (method === 'exact' && D > maxExactFeatures) {
    const message = `Expected at most ${maxExactFeatures} features for the method exact but received ${D}: kernel takes any number`;
    throw new PatchlineError('ARGUMENT_INVALID', message);
  }
  const { tensor, scale } = explainedTensor(model, question.scale);
  const runner = await createRowRunner(withOutputs(model.proto, [tensor]), model.inputs);
  const predict: RowFunction = async (rows) => (await runner.run(rows))[tensor]!;
  try {
    const predictions = Float64Array.from(await predict(question.rows));
    const n = question.rows.length / D;
    const K = predictions.length / n;
    const expected = meanRow(await predict(background), K);
    const values = new Float64Array(n * D * K);
    for (let row = 0; row < n; row++) {
      const x = question.rows.subarray(row * D, (row + 1) * D);
      const prediction = predictions.subarray(row * K, (row + 1) * K);
      const explained =
        method === 'exact'
          ? await exactModelShap(predict, x, background, K)
          : await kernelShap(predict, x, background, { prediction, baseValues: expected });
      values.set(explained, row * D * K);
      question.onRows?.(1);
    }
    return { scale, K, values, expected, predictions };
  } finally {
    await runner.close();
  }
}

/** The tensor that holds the outputs on the wanted scale. */
export function explainedTensor({ scores, makers, output }: TabularModel, wanted: Question['scale']) {
  const node = makers.get(scores);
  const isActivated = node !== undefined && activationOps.includes(node.opType);
  const isClassifier = node !== undefined && (node.opType.endsWith('Classifier') || node.opType === 'Normalizer');
  if (wanted === 'margin' && isActivated)
    return { tensor: skipPassing(makers, node.input[0]!), scale: 'margin' as const };
  if (wanted === 'margin' && node && (isClassifier || treeOps.includes(node.opType))) {
    throw nodeNotSupported(node, 'holds its margins inside: the methods tree and linear explain them');
  }
  if (wanted === 'probability' && !isActivated && !isClassifier) {
    const message = `Expected a model that gives probabilities for --explain-output probability but ${output} holds scores`;
    throw new PatchlineError('ARGUMENT_INVALID', message);
  }
  return { tensor: scores, scale: wanted === undefined ? ('output' as const) : wanted };
}

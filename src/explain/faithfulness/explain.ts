import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import { probabilitiesBy } from '../probabilities.js';
import { axesOf, type Question, type Report, sampleOf } from '../question.js';
import { createRowScorer, type Rows } from '../rows.js';
import { type Faithfulness, measureFaithfulness } from './faithfulness.js';

/**
 * How faithful the explanations of T classes and N images are, each for itself.
 *
 * @param maps T times (N, H, W), the larger the hotter
 * @param report is told how many images of all have been scored
 * @returns T times N
 * @throws SHAPE_MISMATCH where the input is not images
 */
export async function explainFaithfulness(
  question: Question,
  maps: readonly FloatTensor[],
  seed: number,
  report: Report,
): Promise<Faithfulness[][]> {
  const { differentiator, x, run, targets } = question;
  const { network } = differentiator;
  const axes = axesOf(question);
  const { N } = axes;
  const scoreRows = createRowScorer(network, run);
  const toProbabilities = probabilitiesBy(network);
  const measured: Faithfulness[][] = targets.map(() => []);
  let finished = 0;
  for (const [t, classes] of targets.entries()) {
    for (const [n, target] of classes.entries()) {
      const probabilitiesOf = async (rows: Rows) => {
        const scores = await scoreRows(rows, (done) => report(finished + done, rows.count * targets.length * N));
        const probabilities = toProbabilities(scores);
        return Float64Array.from({ length: rows.count }, (_, row) => probabilities[row * network.classes + target]!);
      };
      const image = sampleOf(x.data, n, N);
      const map = sampleOf(maps[t]!.data, n, N);
      const faithfulness = await measureFaithfulness({ image, axes, map, seed, probabilitiesOf });
      finished += faithfulness.forwardPasses;
      measured[t]!.push(faithfulness);
    }
  }
  return measured;
}

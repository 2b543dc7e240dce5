import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import { probabilitiesBy } from '../probabilities.js';
import { axesOf, type Question, type Report, sampleOf } from '../question.js';
import { createRowScorer, type Rows } from '../rows.js';
import { curveNames, type Faithfulness, measureFaithfulness } from './faithfulness.js';
import { type PixelStatistics, statisticsOfSet } from './pixel-statistics.js';

export interface MeasuredFaithfulness extends Faithfulness {
  /** Images that the network was asked about. */
  forwardPasses: number;
  /** Images whose values the noise of pixel flipping was drawn after: the background, else the image alone. */
  noiseImages: number;
}

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
): Promise<MeasuredFaithfulness[][]> {
  const { differentiator, x, run, targets, background } = question;
  const { network } = differentiator;
  const axes = axesOf(question);
  const { N } = axes;
  const scoreRows = createRowScorer(network, run);
  const toProbabilities = probabilitiesBy(network);
  const statistics = background && statisticsOfBackground(background);
  const measured: MeasuredFaithfulness[][] = targets.map(() => []);
  let finished = 0;
  for (const [t, classes] of targets.entries()) {
    for (const [n, target] of classes.entries()) {
      const valuesOf = async (rows: Rows) => {
        const scores = await scoreRows(rows, (done) => report(finished + done, rows.count * targets.length * N));
        const probabilities = toProbabilities(scores);
        return Float64Array.from({ length: rows.count }, (_, row) => probabilities[row * network.classes + target]!);
      };
      const image = sampleOf(x.data, n, N);
      const map = sampleOf(maps[t]!.data, n, N);
      const input = { image, axes, map, seed, statistics, valuesOf };
      const { curves, forwardPasses } = await measureFaithfulness(input, curveNames);
      finished += forwardPasses;
      measured[t]!.push({ ...curves, forwardPasses, noiseImages: statistics ? background.dims[0]! : 1 });
    }
  }
  return measured;
}

/** A single image says nothing of how a pixel varies. */
function statisticsOfBackground({ data, dims }: FloatTensor): PixelStatistics | undefined {
  const m = dims[0]!;
  if (m === 1) return undefined;
  const images = Array.from({ length: m }, (_, n) => sampleOf(data, n, m));
  return statisticsOfSet(images, data.length / m);
}

import { softmax } from './cam/score-cam.js';
import type { Network } from './network.js';

/** These hand on what they are given. */
const passing = new Set(['Identity', 'Flatten', 'Reshape', 'Squeeze', 'Cast', 'Dropout']);

/**
 * What turns class scores (rows, K) into probabilities: nothing where the network ends in Softmax or Sigmoid; else softmax,
 * and of one score alone the sigmoid.
 */
export function probabilitiesBy({ model, output, classes }: Network): (scores: Float32Array) => Float64Array {
  const makerOf = (name: string | undefined) => model.graph.node.find((node) => node.output.includes(name!));
  let last = makerOf(output);
  while (last && passing.has(last.opType)) last = makerOf(last.input[0]);
  if (last?.opType === 'Softmax' || last?.opType === 'Sigmoid') return (scores) => Float64Array.from(scores);
  if (classes === 1) return (scores) => Float64Array.from(scores, (score) => 1 / (1 + Math.exp(-score)));
  return (scores) => {
    const probabilities = new Float64Array(scores.length);
    for (let i = 0; i < scores.length; i += classes) {
      probabilities.set(softmax(scores.subarray(i, i + classes)), i);
    }
    return probabilities;
  };
}

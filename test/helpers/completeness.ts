import { Tensor } from 'onnxruntime-node';
import { createRandom } from '../../src/shared/kernels/random.js';
import { createGraphBuilder, type GraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../src/shared/onnx/model.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { differentiate } from './gradient-check.js';

/** Of sample and reference. */
export const pairs = 2;

/** By pair, what DeepLIFT's multipliers make of an input of random numbers: Σ multiplier · Δinput, and Δ of Σ weights · output. */
export async function sumsOf(
  compose: (graph: GraphBuilder, inputs: string[]) => string,
  dims: number[],
  seed: number,
  opset = 17,
) {
  const random = createRandom(seed);
  const values = (count: number) => Float32Array.from({ length: count }, () => random.uniform() * 2 - 1);
  const graph = createGraphBuilder({ opset });
  graph.output('result', compose(graph, [graph.input('x', 'float32', dims)]));
  const model = graph.build();
  const x = values(dims.reduce((product, size) => product * size, 1));
  const feeds = { x: new Tensor('float32', x, dims) };
  const session = await createSession(writeModel(model));
  const { result } = await session.run(feeds);
  await session.release();
  const output = result!.data as Float32Array;
  const sample = values(output.length / 2 / pairs);
  const weights = Float32Array.from(output, (_, i) => sample[i % sample.length]!);
  const [multipliers] = await differentiate(model, ['x'], feeds, { weights, dims: result!.dims }, 'deeplift-rescale');
  const difference = (array: Float32Array, factors: Float32Array, pair: number) => {
    const size = array.length / 2 / pairs;
    let sum = 0;
    for (let i = pair * size; i < (pair + 1) * size; i++) sum += factors[i]! * (array[i]! - array[i + pairs * size]!);
    return sum;
  };
  const half = multipliers!.length / 2;
  return {
    samples: multipliers!.subarray(0, half),
    references: multipliers!.subarray(half),
    attributed: Array.from({ length: pairs }, (_, pair) => difference(x, multipliers!, pair)),
    changed: Array.from({ length: pairs }, (_, pair) => difference(output, weights, pair)),
  };
}

import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { createRowRunner, openTabularModel } from '../../../../src/explain/shap/tabular-model.js';
import { createAdam } from '../../../../src/fit/table/adam.js';
import { trainMlp } from '../../../../src/fit/table/mlp.js';
import {
  composeLossGradients,
  composeMlp,
  composeOutputs,
  gradientNameOf,
  type MlpShape,
  sizeOf,
  weightDimsOf,
  weightNamesOf,
} from '../../../../src/fit/table/mlp-graph.js';
import { createRandom } from '../../../../src/shared/kernels/random.js';
import { type ModelProto, readModel, writeModel } from '../../../../src/shared/onnx/model.js';
import { createSession } from '../../../../src/shared/onnx/session.js';
import { expectClose, float32 } from '../../../helpers/arrays.js';
import { processRows, scrapOf, trainingTable } from '../../../helpers/process-tables.js';

async function runModel(model: ModelProto, rows: Float64Array, D: number) {
  const proto = readModel(writeModel(model));
  const { inputs, output } = openTabularModel(proto, [D]);
  const runner = await createRowRunner(proto, inputs);
  const results = await runner.run(rows);
  await runner.close();
  return results[output]!;
}

describe.each<MlpShape>([
  { D: 3, hidden: [4], K: 1, task: 'regression' },
  { D: 3, hidden: [4, 5], K: 3, task: 'classification' },
])('the gradients of the loss of a $task', (shape) => {
  test('are those of small differences', async () => {
    const B = 6;
    const { D, K } = shape;
    const random = createRandom(2);
    const dims = weightDimsOf(shape);
    const names = weightNamesOf(shape);
    const weights = dims.map((each) => float32(sizeOf(each), () => random.normal()));
    const x = float32(B * D, () => random.normal());
    const y = float32(B * K, (i) => (K === 1 ? random.normal() : Number(i % K === Math.floor(i / K) % K)));
    const outputs = await createSession(writeModel(composeOutputs(shape)));
    const feedsOf = (values: Float32Array[]) =>
      Object.fromEntries(names.map((name, index) => [name, new Tensor('float32', values[index]!, dims[index]!)]));
    /** Mean squared error or cross-entropy, spelled out. */
    const loss = async (values: Float32Array[]) => {
      const run = await outputs.run({ x: new Tensor('float32', x, [B, D]), ...feedsOf(values) });
      const got = run.outputs!.data as Float32Array;
      const terms = Array.from(got, (value, i) => (K === 1 ? (value - y[i]!) ** 2 : -value * y[i]!));
      return terms.reduce((sum, term) => sum + term, 0) / B;
    };
    const session = await createSession(writeModel(await composeLossGradients(shape, B)));
    const results = await session.run({
      x: new Tensor('float32', x, [B, D]),
      y: new Tensor('float32', y, [B, K]),
      ...feedsOf(weights),
    });
    const step = 2 ** -8;
    for (const [index, name] of names.entries()) {
      const got = results[gradientNameOf(name)]!;
      expect(got.dims).toEqual(dims[index]);
      const want = new Float64Array(weights[index]!.length);
      for (let i = 0; i < want.length; i++) {
        const moved = (by: number) => weights.map((values, k) => (k === index ? nudge(values, i, by) : values));
        want[i] = ((await loss(moved(step))) - (await loss(moved(-step)))) / (2 * step);
      }
      expectClose(got.data as Float32Array, want, { atol: 5e-3, rtol: 1e-2 }, name);
    }
  });
});

function nudge(values: Float32Array, at: number, by: number): Float32Array {
  const moved = values.slice();
  moved[at]! += by;
  return moved;
}

test('Adam takes the steps of its paper, with decay of the weights', () => {
  const adam = createAdam([Float32Array.of(1, -2)], { learningRate: 0.1, weightDecay: 0.5 });
  adam.step([Float32Array.of(3, 0)]);
  // The first step has the size of the learning rate whatever the gradient: g / |g|.
  expectClose(adam.weights[0]!, [1 - 0.1 * (1 + 0.5), -2 + 0.1 * 0.5 * 2], { atol: 1e-6 });
  adam.step([Float32Array.of(-1, 0)]);
  const m = (0.9 * 0.1 * 3 - 0.1) / (1 - 0.81);
  const v = (0.999 * 0.001 * 9 + 0.001) / (1 - 0.999 ** 2);
  expectClose([adam.weights[0]![0]!], [0.85 - 0.1 * (m / Math.sqrt(v) + 0.5 * 0.85)], { atol: 1e-6 });
});

describe('a perceptron', () => {
  const rows = processRows(200);
  const targets = rows.map(scrapOf);
  const train = (seed: number) =>
    trainMlp({
      rows: Float64Array.from(rows.flat()),
      targets: Float64Array.from(targets),
      hidden: [8],
      seed,
    });

  test('learns a target, in its own units, and takes missing values for medians', async () => {
    const table = trainingTable(rows, targets);
    const mlp = await train(0);
    const model = composeMlp(mlp, table);
    const fresh = processRows(100, 9);
    const got = await runModel(model, Float64Array.from(fresh.flat()), 4);
    const want = fresh.map(scrapOf);
    const squares = want.reduce((sum, value, i) => sum + (value - got[i]!) ** 2, 0);
    expect(squares).toBeLessThan(0.02 * want.reduce((sum, value) => sum + value ** 2, 0));
    const [missing, median] = [new Float64Array(4).fill(Number.NaN), mlp.medians];
    expectClose(await runModel(model, missing, 4), await runModel(model, median, 4));
  });

  test('learns classes', async () => {
    const K = 3;
    const classes = rows.map((row) => (scrapOf(row) < -4 ? 0 : scrapOf(row) < 4 ? 1 : 2));
    const table = trainingTable(rows, classes, ['low', 'middle', 'high']);
    const training = { rows: table.rows, targets: table.target.values, classes: K, hidden: [8], seed: 0 };
    const got = await runModel(composeMlp(await trainMlp(training), table), table.rows, 4);
    const right = classes.filter((wanted, row) => {
      const own = [...got.subarray(row * K, (row + 1) * K)];
      expect(own.reduce((sum, value) => sum + value)).toBeCloseTo(1, 5);
      return own.indexOf(Math.max(...own)) === wanted;
    });
    expect(right.length).toBeGreaterThan(0.9 * rows.length);
  });

  test('is the same for the same seed', async () => {
    const [first, again, other] = [await train(3), await train(3), await train(4)];
    expect(again).toEqual(first);
    expect(other.weights).not.toEqual(first.weights);
  });
});

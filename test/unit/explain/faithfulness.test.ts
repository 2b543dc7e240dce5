import { describe, expect, test } from 'vitest';
import { curveNames, measureFaithfulness } from '../../../src/explain/faithfulness/faithfulness.js';
import { imputeLinearly } from '../../../src/explain/faithfulness/linear-imputation.js';
import { energyInMask, pointingGame } from '../../../src/explain/faithfulness/localisation.js';
import { flippingSteps, pixelFlipping } from '../../../src/explain/faithfulness/pixel-flipping.js';
import { heatOrder, randomOrder } from '../../../src/explain/faithfulness/pixel-order.js';
import { statisticsOfImage, statisticsOfSet } from '../../../src/explain/faithfulness/pixel-statistics.js';
import { changedRows, meanOfCurve, valuesAt } from '../../../src/explain/faithfulness/progressive-change.js';
import { bindNetwork } from '../../../src/explain/network.js';
import { probabilitiesBy } from '../../../src/explain/probabilities.js';
import { createRowScorer, type Rows } from '../../../src/explain/rows.js';
import { readModelFile } from '../../../src/shared/onnx/model-file.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { type GoldenCase, goldenCase, goldenCases } from '../../helpers/golden.js';

const axes = { N: 1, C: 3, H: 32, W: 32, channelStep: 1024, positionStep: 1 };

/** The class scores of a golden case's network for rows, and of its class the probability. */
async function scorer(golden: GoldenCase, target: number) {
  const { data, shape } = golden.float32('x');
  const network = await bindNetwork(await readModelFile(golden.network()), { data, dims: shape });
  const scoreRows = createRowScorer(network, runGraph);
  const toProbabilities = probabilitiesBy(network);
  return {
    x: data,
    async score(rows: Rows) {
      const logits = await scoreRows(rows);
      const probabilities = toProbabilities(logits);
      const probability = Float64Array.from({ length: rows.count }, (_, row) => probabilities[row * 5 + target]!);
      return { logits, probability, area: meanOfCurve(probability) };
    },
  };
}

const lastRow = (rows: Rows) => {
  const target = new Float32Array(3 * 1024);
  rows.write(rows.count - 1, target);
  return target;
};

describe('golden case pixel-flipping', () => {
  test.each(['constant-heatmap', 'tie-order'])('%s', (name) => {
    const golden = goldenCase('pixel-flipping', name);
    golden.check({ order: heatOrder(golden.float32('heatmap').data) });
  });

  const curves = goldenCases('pixel-flipping').filter(({ name }) => /^(relu|flatten)/.test(name));
  test.each(curves)('$name', async (golden) => {
    const byHeat = golden.name.endsWith('heatmap');
    const given = byHeat
      ? heatOrder(golden.float32('heatmap').data).slice(0, 256)
      : Int32Array.from(golden.int64('order').data, Number);
    const { pixels, pixelsPerStep } = flippingSteps(1024);
    const drawn = golden.float32('values').data;
    const values = float32(pixels * 3, (i) => drawn[Math.floor(i / 3)]!);
    const { x, score } = await scorer(golden, Number(golden.int64('target').data[0]));
    const rows = changedRows({ start: x, order: given.slice(0, pixels), values, pixelsPerStep }, axes);
    const scored = await score(rows);
    golden.check({ ...(byHeat && { order: given }), ...scored, final_image: lastRow(rows) });
  });
});

test.each(goldenCases('deletion-insertion'))('golden case deletion-insertion $name', async (golden) => {
  const { x, score } = await scorer(golden, Number(golden.int64('target').data[0]));
  const order = heatOrder(golden.float32('heatmap').data);
  const change = { order, pixelsPerStep: golden.params.pixelsPerStep! };
  const deletion = await score(changedRows({ ...change, start: x, values: new Float32Array(3 * 1024) }, axes));
  const start = golden.float32('blurred').data;
  const insertion = await score(changedRows({ ...change, start, values: valuesAt(x, order, axes) }, axes));
  golden.check({
    deletion_curve: deletion.probability,
    deletion_auc: deletion.area,
    insertion_curve: insertion.probability,
    insertion_auc: insertion.area,
  });
});

test.each(goldenCases('road'))('golden case road $name', async (golden) => {
  const { x, score } = await scorer(golden, 0);
  const removed = Uint8Array.from(golden.float32('mask').data, (keep) => 1 - keep);
  const imputed = imputeLinearly(x, axes, removed, { deviation: 0, seed: 0 });
  const { logits } = await score({ count: 1, write: (_, target) => target.set(imputed) });
  golden.check({ imputed, logits });
});

describe('pixels are changed', () => {
  const small = { N: 1, C: 2, H: 1, W: 3, channelStep: 1, positionStep: 2 };
  const image = Float32Array.of(1, 2, 3, 4, 5, 6);

  test('all channels of one together, and stay changed; the last step may be smaller', () => {
    const order = Int32Array.of(2, 0, 1);
    const change = { start: image, order, values: Float32Array.of(-1, -2, -3, -4, -5, -6), pixelsPerStep: 2 };
    const { count, write } = changedRows(change, small);
    const seen = Array.from({ length: count }, (_, row) => {
      const target = new Float32Array(6);
      write(row, target);
      return [...target];
    });
    expect(seen).toEqual([
      [1, 2, 3, 4, 5, 6],
      [-3, -4, 3, 4, -1, -2],
      [-3, -4, -5, -6, -1, -2],
    ]);
    expectClose(valuesAt(image, order, small), [5, 6, 1, 2, 3, 4]);
  });

  test('to one draw for all channels, from the distribution of the place, the same for the same seed', () => {
    const order = randomOrder(4000, 1);
    const statistics = {
      means: float32(8000, (i) => (i % 4000 < 2000 ? 5 : -5)),
      deviations: float32(8000, (i) => (i % 4000 < 2000 ? 0 : 2)),
    };
    const flat = { C: 2, H: 40, W: 100, channelStep: 4000, positionStep: 1 };
    const flip = (seed: number) => pixelFlipping(new Float32Array(8000), flat, order, statistics, seed);
    const { values, pixelsPerStep, order: flipped } = flip(3);
    expect([flipped.length, pixelsPerStep]).toEqual([1000, 20]);
    const drawn: number[] = [];
    for (const [f, p] of flipped.entries()) {
      expect(values[2 * f]).toBe(values[2 * f + 1]);
      if (p < 2000) expect(values[2 * f]).toBe(5);
      else drawn.push(values[2 * f]!);
    }
    const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    const deviation = Math.sqrt(drawn.reduce((sum, value) => sum + (value - mean) ** 2, 0) / drawn.length);
    expect(Math.abs(mean + 5)).toBeLessThan(0.3);
    expect(Math.abs(deviation - 2)).toBeLessThan(0.3);
    expectClose(flip(3).values, values);
    expect(flip(4).values).not.toEqual(values);
  });

  test.each([
    { layout: 'nchw', channelStep: 8, positionStep: 1 },
    { layout: 'nhwc', channelStep: 1, positionStep: 2 },
  ])('to as many deviations above the mean in each channel, $layout', (step) => {
    const statistics = { means: float32(16, (i) => 10 * i), deviations: float32(16, (i) => i + 1) };
    const given = Int32Array.of(5, 1, 0, 2, 3, 4, 6, 7);
    const grid = { C: 2, H: 2, W: 4, ...step };
    const { values, order } = pixelFlipping(new Float32Array(16), grid, given, statistics, 5);
    expect([...order]).toEqual([5, 1]);
    const draws = Array.from(values, (value, k) => {
      const i = order[Math.floor(k / 2)]! * step.positionStep + (k % 2) * step.channelStep;
      return (value - statistics.means[i]!) / statistics.deviations[i]!;
    });
    expect(draws[0]).toBeCloseTo(draws[1]!, 4);
    expect(draws[2]).toBeCloseTo(draws[3]!, 4);
    expect(draws[0]).not.toBeCloseTo(draws[2]!, 4);
  });

  test('of an image alone by mean and deviation of all its values', () => {
    const { means, deviations } = statisticsOfImage(image);
    expectClose(means, new Float32Array(6).fill(3.5));
    expectClose(deviations, new Float32Array(6).fill(Math.sqrt(35 / 12)), { rtol: 1e-6 });
  });

  test('of a set by mean and deviation of each place', () => {
    const set = [Float32Array.of(1, 1e6, 7), Float32Array.of(3, 1e6 + 1, 7), Float32Array.of(8, 1e6 + 2, 7)];
    const { means, deviations } = statisticsOfSet(set, 3);
    expectClose(means, [4, 1e6 + 1, 7], { rtol: 1e-7 });
    expectClose(deviations, [Math.sqrt(26 / 3), Math.sqrt(2 / 3), 0], { rtol: 1e-6 });
    expectClose(statisticsOfSet(set.slice(0, 1), 3).deviations, [0, 0, 0]);
    expect(() => statisticsOfSet(set, 4)).toThrowError(/Expected 4 values/);
  });

  test('at random each once', () => {
    const order = randomOrder(50, 7);
    expect([...order].sort((a, b) => a - b)).toEqual([...order.keys()]);
    expectClose(randomOrder(50, 7), order);
    expect(randomOrder(50, 8)).not.toEqual(order);
  });

  test('in an image of few pixels one by one', () => {
    expect(flippingSteps(12)).toEqual({ pixels: 3, pixelsPerStep: 1 });
    expect(flippingSteps(224 * 224)).toEqual({ pixels: 12_500, pixelsPerStep: 250 });
  });
});

describe('imputation', () => {
  const plane = { N: 1, C: 1, H: 9, W: 7, channelStep: 63, positionStep: 1 };

  test('continues an even slope inside, and leaves what is not removed', () => {
    const slope = float32(63, (p) => 2 * Math.floor(p / 7) - 3 * (p % 7) + 40);
    const removed = Uint8Array.from({ length: 63 }, (_, p) =>
      p % 7 > 0 && p % 7 < 6 && p > 6 && p < 56 && p % 3 > 0 ? 1 : 0,
    );
    expect(removed.includes(1)).toBe(true);
    expectClose(imputeLinearly(slope, plane, removed, { deviation: 0, seed: 0 }), slope, { atol: 1e-4 });
  });

  test('fills all but one pixel, in both layouts, and adds the noise that was asked for', () => {
    const removed = new Uint8Array(63).fill(1);
    removed[30] = 0;
    const image = float32(126, (i) => (i % 2 === 0 ? 4 : -1));
    const nhwc = { N: 1, C: 2, H: 9, W: 7, channelStep: 1, positionStep: 2 };
    expectClose(imputeLinearly(image, nhwc, removed, { deviation: 0, seed: 0 }), image, { atol: 1e-4 });
    const noisy = imputeLinearly(image, nhwc, removed, { deviation: 0.5, seed: 1 });
    expect(noisy[60]).toBe(4);
    const differences = noisy.filter((value, i) => i % 2 === 0 && value !== 4).map((value) => value - 4);
    expect(differences).toHaveLength(62);
    const deviation = Math.sqrt(differences.reduce((sum, each) => sum + each * each, 0) / 62);
    expect(Math.abs(deviation - 0.5)).toBeLessThan(0.15);
  });

  test('solves each channel by itself, also where channels are alike in part', () => {
    const removed = Uint8Array.from({ length: 63 }, (_, p) => Number(p % 7 > 1 && p % 7 < 5 && p > 13 && p < 49));
    const first = float32(63, (p) => Math.sin(p));
    const other = first.map((value, p) => (p < 9 ? value : value + 1));
    const joined = Float32Array.from([...first, ...first, ...other]);
    const none = { deviation: 0, seed: 0 };
    const alone = [first, first, other].flatMap((each) => [...imputeLinearly(each, plane, removed, none)]);
    expectClose(imputeLinearly(joined, { ...plane, C: 3 }, removed, none), alone);
  });

  test('needs a pixel that stays', () => {
    const all = new Uint8Array(63).fill(1);
    expect(() => imputeLinearly(new Float32Array(63), plane, all, { deviation: 0, seed: 0 })).toThrowError(
      /at least one pixel that stays/,
    );
  });
});

describe('faithfulness', () => {
  /** The class is decided by how bright the upper left quarter is. */
  const inQuarter = (p: number) => p % 32 < 16 && p < 512;
  const valuesOf = async ({ count, write }: Rows) =>
    Float64Array.from({ length: count }, (_, row) => {
      const image = new Float32Array(3 * 1024);
      write(row, image);
      return image.reduce((sum, value, i) => (inQuarter(i % 1024) ? sum + value / 768 : sum), 0);
    });
  const image = float32(3 * 1024, (i) => (inQuarter(i % 1024) ? 1 : 0.2));
  const input = { image, axes, seed: 1, valuesOf };
  const measure = (map: Float32Array) => measureFaithfulness({ ...input, map }, curveNames);

  test('tells a map that names the place from one that names any other', async () => {
    const { curves: right } = await measure(float32(1024, (p) => (inQuarter(p) ? 1 : 0)));
    const { curves: wrong } = await measure(float32(1024, (p) => (inQuarter(p) ? 0 : 1)));
    expect(right.deletion.area).toBeLessThan(0.2);
    expect(wrong.deletion.area).toBeGreaterThan(0.8);
    expect(right.insertion.area).toBeGreaterThan(wrong.insertion.area + 0.02);
    expect(right.flipping.area).toBeLessThan(right.flippingAtRandom.area - 0.1);
    expect(wrong.flipping.area).toBeCloseTo(1, 6);
    expect(right.roadColdest.area - right.roadHottest.area).toBeGreaterThan(0.2);
    expect(wrong.roadColdest.area - wrong.roadHottest.area).toBeLessThan(-0.2);
  });

  test('takes deleted pixels from another image, and puts inserted ones into it', async () => {
    const other = new Float32Array(3 * 1024).fill(0.4);
    const map = float32(1024, (p) => (inQuarter(p) ? 1 : 0));
    const { curves } = await measureFaithfulness({ ...input, map, other }, ['deletion', 'insertion']);
    expectClose([curves.deletion.values[0]!, curves.deletion.values.at(-1)!], [1, 0.4], { atol: 1e-6 });
    expectClose([curves.insertion.values[0]!, curves.insertion.values.at(-1)!], [0.4, 1], { atol: 1e-6 });
    expect(Object.keys(curves)).toEqual(['deletion', 'insertion']);
  });

  test('is measured from the image on, in a known number of forward passes', async () => {
    const { forwardPasses, curves } = await measure(float32(1024, (p) => Math.sin(p)));
    const lengths = Object.values(curves).map(({ parts, values }) => [parts.length, values.length]);
    expect(lengths).toEqual([
      [52, 52],
      [52, 52],
      [50, 50],
      [50, 50],
      [5, 5],
      [5, 5],
    ]);
    expect(forwardPasses).toBe(214);
    for (const { parts, values } of [curves.flipping, curves.flippingAtRandom, curves.deletion]) {
      expectClose([parts[0]!, values[0]!], [0, 1], { atol: 1e-9 });
    }
    expect([curves.flipping.parts.at(-1), curves.deletion.parts.at(-1)]).toEqual([255 / 1024, 1]);
    expectClose([curves.deletion.values.at(-1)!, curves.insertion.values.at(-1)!], [0, 1], {
      atol: 1e-9,
    });
  });
});

test('flipped pixels are drawn after a set of images where there is one', async () => {
  const seen: number[][] = [];
  const valuesOf = async ({ count, write }: Rows) => {
    const target = new Float32Array(4);
    write(count - 1, target);
    seen.push([...target]);
    return new Float64Array(count);
  };
  const column = { N: 1, C: 1, H: 4, W: 1, channelStep: 4, positionStep: 1 };
  const statistics = { means: new Float32Array(4).fill(7), deviations: new Float32Array(4) };
  const map = Float32Array.of(0, 0, 1, 0);
  const image = Float32Array.of(1, 2, 3, 4);
  await measureFaithfulness({ image, axes: column, map, seed: 0, statistics, valuesOf }, ['flipping']);
  expect(seen).toEqual([[1, 2, 7, 4]]);
});

describe('where masks exist', () => {
  const mask = Uint8Array.of(0, 255, 255, 0);

  test('the energy on them counts, what is negative does not', () => {
    expect(energyInMask(Float32Array.of(1, 2, 1, -9), mask)).toBe(0.75);
    expect(energyInMask(Float32Array.of(-1, 0, 0, -9), mask)).toBe(0);
    expect(energyInMask(new Float32Array(4).fill(3), mask)).toBe(0.5);
  });

  test('the hottest place hits or misses', () => {
    expect(pointingGame(Float32Array.of(0, 1, 5, 4), mask, 2)).toBe(true);
    expect(pointingGame(Float32Array.of(6, 1, 5, 4), mask, 2)).toBe(false);
    expect(pointingGame(Float32Array.of(5, 1, 5, 4), mask, 2)).toBe(false);
    expect(pointingGame(new Float32Array(4), mask, 2)).toBe(false);
  });

  test('a place near the mask hits where that is allowed', () => {
    const corner = Uint8Array.from({ length: 20 }, (_, p) => Number(p === 19));
    const hotAt = (place: number) => Float32Array.from({ length: 20 }, (_, p) => Number(p === place));
    // (4, 5): from row 3, column 4 to row 0, column 0
    expect(pointingGame(hotAt(0), corner, 5, 4.9)).toBe(false);
    expect(pointingGame(hotAt(0), corner, 5, 5)).toBe(true);
    expect(pointingGame(hotAt(18), corner, 5, 0)).toBe(false);
    expect(pointingGame(hotAt(18), corner, 5, 1)).toBe(true);
  });

  test('masks of another size are refused', () => {
    expect(() => energyInMask(new Float32Array(5), mask)).toThrowError(/Expected 5 values/);
    expect(() => pointingGame(new Float32Array(6), mask, 2)).toThrowError(/Expected 6 values/);
  });
});

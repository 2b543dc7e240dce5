import { describe, expect, test } from 'vitest';
import { createDifferentiator, seedOf } from '../../../src/explain/differentiator.js';
import { displayExplanation, scaleEach, sumOfMagnitudes } from '../../../src/explain/display.js';
import { blurredBaseline, meanBaseline } from '../../../src/explain/gradient/baselines.js';
import { inputTimesGradient } from '../../../src/explain/gradient/input-x-gradient.js';
import { integratedGradients, sumOfSample } from '../../../src/explain/gradient/integrated-gradients.js';
import { gaussLegendre, trapezoid } from '../../../src/explain/gradient/quadrature.js';
import { saliency } from '../../../src/explain/gradient/saliency.js';
import { seededNoise, smoothGrad } from '../../../src/explain/gradient/smoothgrad.js';
import { imageAxes } from '../../../src/explain/image-axes.js';
import { methods } from '../../../src/explain/methods.js';
import { bindNetwork } from '../../../src/explain/network.js';
import { sampleOf } from '../../../src/explain/question.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCase, goldenCases } from '../../helpers/golden.js';
import { openGolden } from '../../helpers/networks.js';

const noArrays = () => Promise.reject(new Error('no array is named'));
const axes = imageAxes([1, 3, 32, 32], 'nchw');

test.each(goldenCases('forward'))('golden case forward $name', async (golden) => {
  const { differentiator, x } = await openGolden(golden);
  const { data: features } = await differentiator.activations('features', x.data);
  golden.check({ logits: await differentiator.scores(x.data), features });
});

test.each(goldenCases('input-gradient'))('golden case input-gradient $name', async (golden) => {
  const { question } = await openGolden(golden);
  const { maps } = await methods.gradient!.prepare({})(question, noArrays);
  golden.check({ gradient: maps[0]!.data });
});

test.each(goldenCases('saliency'))('golden case saliency $name', async (golden) => {
  const { question } = await openGolden(golden);
  const { maps } = await methods.saliency!.prepare({})(question, noArrays);
  expect(maps[0]!.dims).toEqual([1, 32, 32]);
  golden.check({ raw: maps[0]!.data, normalised: displayExplanation('saliency', maps[0]!, axes).data });
});

test.each(goldenCases('guided-backprop'))('golden case guided-backprop $name', async (golden) => {
  const { question } = await openGolden(golden);
  const { maps } = await methods['guided-backprop']!.prepare({})(question, noArrays);
  const { data } = maps[0]!;
  golden.check({ gradient: data, map: scaleEach(saliency(data, axes), 1) });
});

test.each(goldenCases('input-x-gradient'))('golden case input-x-gradient $name', async (golden) => {
  const { question } = await openGolden(golden);
  const { maps } = await methods['input-x-gradient']!.prepare({})(question, noArrays);
  golden.check({ attribution: maps[0]!.data });
});

test.each(goldenCases('integrated-gradients'))('golden case integrated-gradients $name', async (golden) => {
  const { differentiator, x, target } = await openGolden(golden);
  const { data: baseline } = golden.float32('baseline');
  const { steps } = golden.params as { steps: number };
  const options = { steps, rule: 'trapezoid' } as const;
  const got = await integratedGradients(differentiator, x.data, baseline, [target], options);
  const { attribution, averageGradient, differences, completenessGaps } = got;
  golden.check({
    average_gradient: averageGradient,
    attribution,
    seed_map: sumOfMagnitudes(averageGradient, axes),
    sum: sumOfSample(attribution, 0, 1),
    delta: differences,
    completeness_error: completenessGaps,
  });
});

test.each(goldenCases('smoothgrad'))('golden case smoothgrad $name', async (golden) => {
  const { differentiator, x, target } = await openGolden(golden);
  const { data, shape } = golden.float32('noise');
  const noise = Array.from({ length: shape[0]! }, (_, i) => sampleOf(data, i, shape[0]!));
  golden.check({ mean_gradient: await smoothGrad(differentiator, x.data, noise, [target]) }, [
    'mean_abs_gradient',
    'mean_squared_gradient',
  ]);
});

describe('integrated gradients', () => {
  test.each(['trapezoid', 'gauss-legendre'] as const)(
    'by %s sum to the difference of the scores with many steps',
    async (rule) => {
      const { differentiator, x, target } = await openGolden(goldenCase('integrated-gradients', 'mbconv-se-gap'));
      const baseline = meanBaseline(x.data, axes);
      const options = { steps: 64, rule };
      const { differences, completenessGaps } = await integratedGradients(
        differentiator,
        x.data,
        baseline,
        [target],
        options,
      );
      expect(Math.abs(completenessGaps[0]!)).toBeLessThan(1e-3 * Math.abs(differences[0]!));
    },
  );

  test('from the input itself to the input are 0', async () => {
    const { differentiator, x, target } = await openGolden(goldenCase('integrated-gradients', 'relu-gap'));
    const options = { steps: 2, rule: 'trapezoid' } as const;
    const { attribution, completenessGaps } = await integratedGradients(
      differentiator,
      x.data,
      x.data,
      [target],
      options,
    );
    expectClose(attribution, new Float32Array(x.data.length));
    expectClose(completenessGaps, [0]);
  });

  test('tell how far they are', async () => {
    const { differentiator, x, target } = await openGolden(goldenCase('integrated-gradients', 'relu-gap'));
    const told: number[][] = [];
    const options = { steps: 3, rule: 'trapezoid' } as const;
    await integratedGradients(differentiator, x.data, x.data, [target], options, (...each) => told.push(each));
    expect(told).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
  });
});

describe('quadrature', () => {
  test.each([1, 2, 3, 8, 50])('Gauss-Legendre of %i points is exact up to its degree', (n) => {
    const { points, weights } = gaussLegendre(n);
    expect(points.every((point, i) => point > 0 && point < 1 && (i === 0 || point > points[i - 1]!))).toBe(true);
    for (const degree of [0, 1, n, 2 * n - 1]) {
      const integral = points.reduce((sum, point, i) => sum + weights[i]! * point ** degree, 0);
      expectClose([integral], [1 / (degree + 1)], { rtol: 1e-12 }, `x^${degree}`);
    }
  });

  test('the trapezoid rule takes one point more than steps, its ends half', () => {
    const { points, weights } = trapezoid(4);
    expectClose(points, [0, 0.25, 0.5, 0.75, 1]);
    expectClose(weights, [0.125, 0.25, 0.25, 0.25, 0.125]);
  });
});

describe('baselines', () => {
  const images = float32(2 * 3 * 4 * 5, (i) => Math.sin(i));

  test('the mean is that of each channel and image, in both layouts', () => {
    const nchw = meanBaseline(images, imageAxes([2, 3, 4, 5], 'nchw'));
    const mean = images.subarray(20, 40).reduce((sum, value) => sum + value, 0) / 20;
    expectClose(
      nchw.subarray(20, 40),
      float32(20, () => mean),
      { atol: 1e-6 },
    );
    const nhwc = meanBaseline(images, imageAxes([2, 4, 5, 3], 'nhwc'));
    const channel = images.filter((_, i) => i < 60 && i % 3 === 1);
    expect(nhwc[1]).toBeCloseTo(channel.reduce((sum, value) => sum + value, 0) / 20, 6);
    expect(nhwc[58]).toBe(nhwc[1]);
    const second = images.subarray(60, 80).reduce((sum, value) => sum + value, 0) / 20;
    expectClose(
      nchw.subarray(60, 80),
      float32(20, () => second),
      { atol: 1e-6 },
    );
  });

  test('the blurred one keeps a constant and smooths the rest', () => {
    const flat = float32(3 * 32 * 32, () => 0.5);
    expectClose(blurredBaseline(flat, axes), flat, { atol: 1e-6 });
    const step = float32(3 * 32 * 32, (i) => (i % 32 < 16 ? 0 : 1));
    const blurred = blurredBaseline(step, axes);
    expect(blurred[15]).toBeGreaterThan(0.2);
    expect(blurred[0]).toBeLessThan(0.01);
  });
});

describe('SmoothGrad', () => {
  test('draws the same noise for the same seed, as large as asked for', () => {
    const x = float32(4000, (i) => (i < 2000 ? i % 2 : 10 * (i % 2)));
    const options = { samples: 2, noise: 0.1, seed: 7 };
    const [first, second] = [...seededNoise(x, 2, options)] as [Float32Array, Float32Array];
    expectClose(first, [...seededNoise(x, 2, options)][0]!);
    expect(first[0]).not.toBe(second[0]);
    expect([...seededNoise(x, 2, { ...options, seed: 8 })][0]![0]).not.toBe(first[0]);
    const deviation = (values: Float32Array) =>
      Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
    expect(deviation(first.subarray(0, 2000))).toBeCloseTo(0.1, 2);
    expect(deviation(first.subarray(2000))).toBeCloseTo(1, 1);
  });
});

test('a batch is explained image by image, each for its own class', async () => {
  const { differentiator, x } = await openGolden(goldenCase('input-gradient', 'flatten-mlp'));
  const single = await differentiator.gradient(x.data, seedOf([2], 5));
  const other = x.data.map((value) => 1 - value);
  const otherSingle = await differentiator.gradient(other, seedOf([4], 5));
  const both = { data: Float32Array.of(...x.data, ...other), dims: [2, 3, 32, 32] };
  const batch = createDifferentiator(await bindNetwork(differentiator.network.model, both), runGraph);
  const gradient = await batch.gradient(both.data, seedOf([2, 4], 5));
  expectClose(sampleOf(gradient, 0, 2), single, { atol: 1e-6, rtol: 1e-5 });
  expectClose(sampleOf(gradient, 1, 2), otherSingle, { atol: 1e-6, rtol: 1e-5 });
});

test('saliency and display read both layouts alike', () => {
  const nchw = float32(2 * 3 * 4 * 5, (i) => Math.cos(3 * i));
  const nhwc = new Float32Array(nchw.length);
  for (let n = 0; n < 2; n++) {
    for (let c = 0; c < 3; c++) for (let p = 0; p < 20; p++) nhwc[(n * 20 + p) * 3 + c] = nchw[(n * 3 + c) * 20 + p]!;
  }
  const [first, last] = [imageAxes([2, 3, 4, 5], 'nchw'), imageAxes([2, 4, 5, 3], 'nhwc')];
  expectClose(saliency(nhwc, last), saliency(nchw, first));
  expectClose(
    displayExplanation('attribution', { data: nhwc, dims: [2, 4, 5, 3] }, last).data,
    displayExplanation('attribution', { data: nchw, dims: [2, 3, 4, 5] }, first).data,
  );
  expectClose(inputTimesGradient(Float32Array.of(2, -3), Float32Array.of(0.5, 4)), [1, -12]);
});

import { expect, test } from 'vitest';
import { displayCam } from '../../../src/explain/cam/display.js';
import { gradCamPlusPlus, pooledLinearGradCamPlusPlus } from '../../../src/explain/cam/grad-cam-plus-plus.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCase, goldenCases } from '../../helpers/golden.js';

/** The results of other conventions; alpha is divided out here, the weights are its sum. */
const notOurs = [
  ...['weights_seed000', 'map_seed000', 'final_seed000', 'weights_pgc', 'map_pgc', 'final_pgc'],
  ...['alpha_closed', 'final_closed_pgc', 'map_seed004'],
];
const networks = goldenCases('grad-cam-plus-plus').filter(({ name }) => name !== 'hand-edge');

test.each(networks)('golden case $name', (golden) => {
  const { data: activations, shape } = golden.float32('activations');
  const [, C, h, w] = shape as [number, number, number, number];
  const { map, channelWeights } = gradCamPlusPlus(activations, golden.float32('gradients').data, C, h, w);
  const shown = displayCam(map, h, w, 32, 32);
  golden.check({ map_closed: map, weights_closed: channelWeights, final_closed_seed000: shown }, notOurs);
});

test.each(['residual-clip-gap', 'mbconv-se-gap'])(
  'golden case %s from the weights of its pooled linear head',
  (name) => {
    const golden = goldenCase('grad-cam-plus-plus', name);
    const { data: activations, shape } = golden.float32('activations');
    const [, C, h, w] = shape as [number, number, number, number];
    const gradients = golden.float32('gradients').data;
    expectClose(
      gradients,
      float32(C * h * w, (i) => gradients[i - (i % (h * w))]!),
      { rtol: 1e-6 },
      'constant gradient',
    );
    const weights = float32(C, (c) => gradients[c * h * w]! * h * w);
    const { map, channelWeights } = pooledLinearGradCamPlusPlus(activations, weights, C, h, w);
    const shown = displayCam(map, h, w, 32, 32);
    golden.check({ map_closed: map, weights_closed: channelWeights, final_closed_seed000: shown }, notOurs);
  },
);

test('golden case hand-edge: zero and negative gradients, a zero denominator, a negative sum of activations', () => {
  const golden = goldenCase('grad-cam-plus-plus', 'hand-edge');
  const [A, g] = [golden.float32('activations').data, golden.float32('gradients').data];
  const { map, channelWeights } = gradCamPlusPlus(A, g, 5, 2, 2);
  const others = ['weights_seed000', 'map_seed000', 'weights_pgc', 'map_pgc'];
  golden.check({ weights_closed_0_3: channelWeights.subarray(0, 4) }, others);
  expect(map.every(Number.isFinite)).toBe(true);
});

test('a denominator of exactly 0 leaves its position out', () => {
  // Σ A = -1: 2 + (Σ A) g is 0 at g = 2 and 1 at g = 1.
  const { map, channelWeights } = gradCamPlusPlus(Float32Array.of(-3, 2), Float32Array.of(2, 1), 1, 1, 2);
  expectClose(channelWeights, [1]);
  expectClose(map, [-3, 2]);
  expectClose(pooledLinearGradCamPlusPlus(Float32Array.of(-1, -1), Float32Array.of(2), 1, 1, 2).map, [0, 0]);
});

test.each([
  [1, 1, 1],
  [6, 3, 5],
  [40, 7, 7],
])('the pooled linear form equals the general one with gradients w / (h w), (C, h, w) = (%i, %i, %i)', (C, h, w) => {
  const random = createRandom(C);
  const activations = float32(C * h * w, () => random.normal() + 0.5);
  const weights = float32(C, () => 3 * random.normal());
  const gradients = float32(C * h * w, (i) => weights[Math.floor(i / (h * w))]! / (h * w));
  const got = pooledLinearGradCamPlusPlus(activations, weights, C, h, w);
  const want = gradCamPlusPlus(activations, gradients, C, h, w);
  expectClose(got.channelWeights, want.channelWeights, { atol: 1e-6, rtol: 1e-5 });
  expectClose(got.map, want.map, { atol: 1e-5, rtol: 1e-5 });
});

test('a channel that speaks against the class takes no part', () => {
  const activations = Float32Array.of(1, 2, 3, 4);
  expectClose(pooledLinearGradCamPlusPlus(activations, Float32Array.of(-1, 0), 2, 1, 2).map, [0, 0]);
});

test('lengths are checked', () => {
  const wrong = expect.objectContaining({ code: 'SHAPE_MISMATCH' });
  expect(() => gradCamPlusPlus(new Float32Array(8), new Float32Array(7), 2, 2, 2)).toThrowError(wrong);
  expect(() => gradCamPlusPlus(new Float32Array(7), new Float32Array(8), 2, 2, 2)).toThrowError(wrong);
  expect(() => pooledLinearGradCamPlusPlus(new Float32Array(8), new Float32Array(3), 2, 2, 2)).toThrowError(wrong);
});

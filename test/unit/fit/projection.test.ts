import { expect, test } from 'vitest';
import { addMoments, createMoments, fitProjection } from '../../../src/fit/projection.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { bankLayers, layers, patchVectorLength } from '../../../src/shared/networks.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

// N images of P patches with C channels; the two levels have very different scales and means.
const [N, P, C] = [6, 100, patchVectorLength];
const stride16 = layers.stride16.channels;
const weighted = bankLayers.map((name) => [name, 1] as const);
const random = createRandom(31);
const shape = float32(C, () => 0.2 + random.uniform() ** 3);
const images = Array.from({ length: N }, () =>
  float32(P * C, (i) => {
    const channel = i % C;
    const level = channel < stride16 ? 1 : 40;
    return level * (3 + shape[channel]! * random.normal());
  }),
);
/** Strongly related channels, so that there are leading components. */
for (const raw of images) {
  for (let p = 0; p < P; p++) {
    const factor = 4 * random.normal();
    for (let c = 0; c < C; c += 3) raw[p * C + c]! += factor * (c < stride16 ? 1 : 40);
  }
}

function momentsOf(raws: readonly Float32Array[]) {
  const moments = createMoments(C);
  for (const raw of raws) {
    const sums = new Float64Array(C);
    const products = new Float64Array(C * C);
    for (let p = 0; p < P; p++) {
      for (let i = 0; i < C; i++) {
        sums[i]! += raw[p * C + i]!;
        for (let j = 0; j < C; j++) products[i * C + j]! += raw[p * C + i]! * raw[p * C + j]!;
      }
    }
    addMoments(moments, P, Float32Array.from(sums), Float32Array.from(products));
  }
  return moments;
}

function project(raw: Float32Array, { matrix, bias }: { matrix: Float32Array; bias: Float32Array }): Float64Array {
  const d = bias.length;
  return Float64Array.from({ length: P * d }, (_, index) => {
    const [p, k] = [Math.floor(index / d), index % d];
    let sum = bias[k]!;
    for (let c = 0; c < C; c++) sum += raw[p * C + c]! * matrix[c * d + k]!;
    return sum;
  });
}

/** (d, d) covariance of projected vectors, and their means. */
function statisticsOf(projected: (Float64Array | Float32Array)[], d: number) {
  const count = projected.length * P;
  const means = new Float64Array(d);
  const covariance = new Float64Array(d * d);
  for (const y of projected) {
    for (let index = 0; index < y.length; index++) means[index % d]! += y[index]! / count;
  }
  for (const y of projected) {
    for (let p = 0; p < P; p++) {
      for (let i = 0; i < d; i++) {
        for (let j = 0; j < d; j++) {
          covariance[i * d + j]! += ((y[p * d + i]! - means[i]!) * (y[p * d + j]! - means[j]!)) / count;
        }
      }
    }
  }
  return { means, covariance };
}

test('projected training patches are centred and their components uncorrelated, in order of variance', () => {
  const d = 12;
  const projection = fitProjection(momentsOf(images), weighted, d);
  const { means, covariance } = statisticsOf(
    images.map((raw) => project(raw, projection)),
    d,
  );
  const variances = Array.from({ length: d }, (_, i) => covariance[i * d + i]!);
  expectClose(means, new Float64Array(d), { atol: 1e-4 }, 'means');
  expectClose(
    covariance,
    covariance.map((_, i) => (i % (d + 1) === 0 ? variances[i / (d + 1)]! : 0)),
    { atol: 1e-4 },
    'covariance',
  );
  expect(variances).toEqual(variances.toSorted((a, b) => b - a));
  expect(variances[0]).toBeGreaterThan(10 * variances[1]!);
});

test('all components together have the variance of two levels of variance 1, whatever their scales', () => {
  const projection = fitProjection(momentsOf(images), weighted, C);
  const { covariance } = statisticsOf(
    images.map((raw) => project(raw, projection)),
    C,
  );
  const total = Array.from({ length: C }, (_, i) => covariance[i * C + i]!).reduce((sum, value) => sum + value);
  expect(total).toBeCloseTo(2, 4);
});

test('a layer of another weight has the variance of its square', () => {
  const [first, second] = bankLayers;
  const projection = fitProjection(
    momentsOf(images),
    [
      [first, 0.5],
      [second, 2],
    ],
    null,
  );
  const { covariance } = statisticsOf(
    images.map((raw) => project(raw, projection)),
    C,
  );
  const variance = (from: number, to: number) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += covariance[i * C + i]!;
    return sum;
  };
  expect(variance(0, stride16)).toBeCloseTo(0.25, 4);
  expect(variance(stride16, C)).toBeCloseTo(4, 3);
});

test('without principal components each channel keeps its place, centred', () => {
  const { matrix, bias } = fitProjection(momentsOf(images), weighted, null);
  expect(bias).toHaveLength(C);
  for (let i = 0; i < C; i++) {
    const row = matrix.subarray(i * C, (i + 1) * C);
    expect(row.findIndex((value) => value !== 0)).toBe(i);
    expect(row.findLastIndex((value) => value !== 0)).toBe(i);
  }
  const { means } = statisticsOf(
    images.map((raw) => project(raw, { matrix, bias })),
    C,
  );
  expectClose(means, new Float64Array(C), { atol: 1e-4 });
});

test('the layers that stand first are learned from alone where others follow', () => {
  const moments = momentsOf(images);
  const [first] = bankLayers;
  const shorter = createMoments(stride16);
  shorter.count = moments.count;
  shorter.sums.set(moments.sums.subarray(0, stride16));
  for (let i = 0; i < stride16; i++) {
    shorter.products.set(moments.products.subarray(i * C, i * C + stride16), i * stride16);
  }
  expect(fitProjection(moments, [[first, 1]], 5)).toEqual(fitProjection(shorter, [[first, 1]], 5));
});

test('the largest entry of each component is positive', () => {
  const d = 12;
  const { matrix } = fitProjection(momentsOf(images), weighted, d);
  const { covariance } = statisticsOf(images, C);
  const levelScale = (c: number) => {
    const [from, to] = c < stride16 ? [0, stride16] : [stride16, C];
    let variance = 0;
    for (let i = from; i < to; i++) variance += covariance[i * C + i]!;
    return Math.sqrt(variance);
  };
  for (let k = 0; k < d; k++) {
    const component = Array.from({ length: C }, (_, c) => matrix[c * d + k]! * levelScale(c));
    expect(Math.max(...component)).toBe(Math.max(...component.map(Math.abs)));
  }
});

test('images that are all of one colour give a projection of finite numbers', () => {
  const { matrix, bias } = fitProjection(momentsOf([new Float32Array(P * C).fill(0.3)]), weighted, 8);
  expect([...matrix, ...bias].every(Number.isFinite)).toBe(true);
});

import { Matrix } from 'ml-matrix';
import { beforeAll, describe, expect, test } from 'vitest';
import { foldsOf } from '../../../src/fit/memory-banks.js';
import { fitSecondTerm, type SecondTerm, secondTermTasks, subspaceBasis } from '../../../src/fit/second-term.js';
import { createCompute, shareFloats } from '../../../src/shared/compute.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import {
  meanOf,
  minus,
  plainDistances,
  plainResidual,
  plainStatistics,
  type Row,
} from '../../helpers/plain-second-term.js';

// N images of P patches with d dimensions, K = P·d; they differ in two ways and by noise.
const [N, P, d, folds, seed] = [14, 6, 4, 4, 5];
const K = P * d;
const random = createRandom(111);
const usual = float32(K, () => 5 + random.normal());
const ways = [0, 1].map(() => float32(K, random.normal));
const images = Array.from({ length: N }, () => {
  const [a, b] = [3 * random.normal(), random.normal()];
  return float32(K, (k) => usual[k]! + a * ways[0]![k]! + b * ways[1]![k]! + 0.2 * random.normal());
});
const projection = { matrix: float32(d, random.normal), bias: float32(d, random.normal) };
const foldOf = foldsOf(N, folds, seed);

const everyImage = Int32Array.from({ length: N }, (_, image) => image);

async function learn(threads: number, { vectors = images, basis = everyImage } = {}) {
  const compute = createCompute({ threads });
  let fitted = 0;
  const onFitted = () => fitted++;
  const input = {
    vectors: shareFloats(Float32Array.from(vectors.flatMap((image) => [...image]))),
    projection,
    patches: P,
    foldOf,
    folds,
    basis,
  };
  const term = await fitSecondTerm(input, { compute, onFitted });
  await compute.close();
  return { term, fitted };
}

const outside = (fold: number) => (_: unknown, image: number) => foldOf[image] !== fold;

describe('the second term', () => {
  let term: SecondTerm;
  let residuals: Row[];
  beforeAll(async () => {
    const result = await learn(2);
    term = result.term;
    expect(result.fitted).toBe(secondTermTasks(folds));
    residuals = images.map((image, n) => plainResidual(images.filter(outside(foldOf[n]!)))(image));
  });

  test('measures each image by a model that has not seen it', () => {
    const expected = images.map((_, n) => {
      const fold = foldOf[n]!;
      return plainDistances(residuals[n]!, plainStatistics(residuals.filter(outside(fold)), d));
    });
    expectClose(term.heldOut, Float64Array.from(expected.flatMap((row) => [...row])), { rtol: 2e-3 });
  });

  test('leaves a model of all images, by the statistics of held-out residuals', () => {
    const { offset, means, whitening } = term.model;
    const mean = meanOf(images);
    expectClose(
      offset,
      mean.map((value, k) => projection.bias[k % d]! - value),
      { atol: 1e-4 },
      'offset',
    );
    const statistics = plainStatistics(residuals, d);
    expectClose(means, statistics.means, { atol: 1e-3 }, 'means');
    // L⁻ᵀ L⁻¹ = C⁻¹
    for (let p = 0; p < P; p++) {
      const factor = new Matrix(
        Array.from({ length: d }, (_, i) => [...whitening.subarray((p * d + i) * d, (p * d + i + 1) * d)]),
      );
      const inverse = factor.mmul(factor.transpose());
      expectClose(
        inverse.to1DArray(),
        statistics.inverses[p]!.to1DArray(),
        { atol: 0.05, rtol: 0.01 },
        `position ${p}`,
      );
    }
  });

  test('has directions of length 1 at right angles, along which the image farthest from the mean lies on the positive side', () => {
    const { components, scales, shrinkage } = term.model;
    const r = scales.length;
    expect(r).toBe(N - 1);
    const rows = Array.from({ length: r }, (_, i) =>
      Float64Array.from(components.subarray(i * K, (i + 1) * K), (step) => step * scales[i]!),
    );
    for (let i = 0; i < r; i++) {
      for (let j = 0; j < r; j++) {
        const product = rows[i]!.reduce((sum, value, k) => sum + value * rows[j]![k]!, 0);
        expect(Math.abs(product - Number(i === j))).toBeLessThan(0.03);
      }
    }
    const mean = meanOf(images);
    for (const row of rows) {
      const amounts = images.map((image) => minus(image, mean).reduce((sum, value, k) => sum + value * row[k]!, 0));
      expect(Math.max(...amounts)).toBe(Math.max(...amounts.map(Math.abs)));
    }
    expect([...shrinkage]).toEqual([...shrinkage].sort((a, b) => b - a));
    expect(shrinkage[0]).toBeGreaterThan(0.99);
    expect(shrinkage.at(-1)).toBeLessThan(0.5);
  });

  test('is the same to the bit again, and with one thread', async () => {
    for (const threads of [1, 2]) {
      const { term: again } = await learn(threads);
      expect(again.heldOut).toEqual(term.heldOut);
      expect(again.model).toEqual(term.model);
    }
  });
});

test('images outside the basis are measured and learned from all the same', async () => {
  const basis = Int32Array.of(0, 2, 3, 5, 7, 8, 11, 13);
  const { term } = await learn(2, { basis });
  const residuals = images.map((image, n) => {
    const learned = images.filter((_, other) => basis.includes(other) && foldOf[other] !== foldOf[n]);
    return plainResidual(learned)(image);
  });
  const expected = residuals.map((residual, n) =>
    plainDistances(residual, plainStatistics(residuals.filter(outside(foldOf[n]!)), d)),
  );
  expectClose(term.heldOut, Float64Array.from(expected.flatMap((row) => [...row])), { rtol: 2e-3 });
  expect(term.images).toBe(basis.length);
});

test('the basis is every image, or a random thousand of many', () => {
  expect(subspaceBasis(N, seed)).toEqual(everyImage);
  const basis = subspaceBasis(5000, seed);
  expect(basis).toHaveLength(1000);
  expect(new Set(basis).size).toBe(1000);
  expect([...basis]).toEqual([...basis].sort((a, b) => a - b));
  expect(basis.filter((image) => image < 2500).length).toBeGreaterThan(400);
  expect(subspaceBasis(5000, seed + 1)).not.toEqual(basis);
});

test('images that are all alike have finite distances', async () => {
  const { term } = await learn(2, { vectors: images.map(() => images[0]!) });
  expectClose(term.heldOut, new Float32Array(N * P));
  expect(term.model.whitening.every(Number.isFinite)).toBe(true);
  expect(term.model.shrinkage).toEqual(Float32Array.of(0));
});

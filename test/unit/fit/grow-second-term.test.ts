import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { beforeAll, describe, expect, test } from 'vitest';
import type { BaseSubspace } from '../../../src/fit/grow-base.js';
import { growSecondTerm } from '../../../src/fit/grow-second-term.js';
import { foldsOf } from '../../../src/fit/memory-banks.js';
import { fitSecondTerm, type SecondTerm, subspaceBasis } from '../../../src/fit/second-term.js';
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

// N old and n new images of P patches with d dimensions, K = P·d; the new ones also differ in a way that no old one does.
const [N, n, P, d, folds, seed] = [14, 7, 6, 4, 4, 5];
const K = P * d;
const random = createRandom(211);
const usual = float32(K, () => 5 + random.normal());
const ways = [0, 1, 2].map(() => float32(K, random.normal));
const image = (isNew: boolean) => {
  const amounts = [3 * random.normal(), random.normal(), isNew ? 2 + random.normal() : 0];
  return float32(
    K,
    (k) => usual[k]! + amounts.reduce((sum, a, way) => sum + a * ways[way]![k]!, 0) + 0.2 * random.normal(),
  );
};
const old = Array.from({ length: N }, () => image(false));
const added = Array.from({ length: n }, () => image(true));
const projection = { matrix: float32(d, random.normal), bias: new Float32Array(d) };
const foldOf = foldsOf(N, folds, seed);
const joined = (rows: Float32Array[]) => shareFloats(Float32Array.from(rows.flatMap((row) => [...row])));

/** All directions of the old images in full precision: what a bundle keeps is rounded to 7 bits. */
function exactDirections(variance: number) {
  const mean = meanOf(old);
  const X = new Matrix(old.map((row) => [...minus(row, mean)]));
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(X.mmul(X.transpose()), {
    assumeSymmetric: true,
  });
  const kept = [...realEigenvalues.keys()].filter((place) => realEigenvalues[place]! > 1e-9).reverse();
  const components = kept.flatMap((place) => {
    const direction = new Matrix([eigenvectorMatrix.getColumn(place)]).mmul(X).div(Math.sqrt(realEigenvalues[place]!));
    return direction.to1DArray();
  });
  const shrinkage = kept.map((place) => realEigenvalues[place]! / (realEigenvalues[place]! + 0.03 * variance));
  return { components: Float32Array.from(components), shrinkage: Float32Array.from(shrinkage) };
}

async function grow(images: Float32Array[], foldsOfAdded: Int32Array, count: number, threads = 2) {
  const compute = createCompute({ threads });
  const input = { vectors: joined(old), projection, patches: P, foldOf, folds, basis: subspaceBasis(N, seed) };
  const term = await fitSecondTerm(input, { compute, onFitted() {} });
  const { variance, model } = term;
  const { matrix, offset, means, whitening } = model;
  const base: BaseSubspace = {
    ...{ images: N, variance, matrix, offset, means, whitening, heldOut: term.heldOut },
    ...exactDirections(variance),
  };
  const grown = await growSecondTerm(
    base,
    { vectors: joined(images), patches: P, foldOf: foldsOfAdded, folds: count },
    { compute, onFitted() {} },
  );
  await compute.close();
  return { term, grown };
}

const without = (fold: number, foldsOfAdded: Int32Array) => added.filter((_, index) => foldsOfAdded[index] !== fold);

describe('growing the second term', () => {
  const foldsOfAdded = foldsOf(n, 3, seed);
  let term: SecondTerm;
  let grown: SecondTerm;
  let oldResiduals: Row[];
  let newResiduals: Row[];
  beforeAll(async () => {
    ({ term, grown } = await grow(added, foldsOfAdded, 3));
    oldResiduals = old.map((row, index) =>
      plainResidual(old.filter((_, other) => foldOf[other] !== foldOf[index]))(row),
    );
    newResiduals = added.map((row, index) =>
      plainResidual([...old, ...without(foldsOfAdded[index]!, foldsOfAdded)])(row),
    );
  });

  test('measures each new image by a model of all old ones and of the new ones but its fold', () => {
    const expected = added.map((_, index) => {
      const fold = foldsOfAdded[index]!;
      const learned = [...oldResiduals, ...newResiduals.filter((_, other) => foldsOfAdded[other] !== fold)];
      return plainDistances(newResiduals[index]!, plainStatistics(learned, d));
    });
    expectClose(grown.heldOut.subarray(0, N * P), term.heldOut, {}, 'old images');
    const found = grown.heldOut.subarray(N * P);
    expectClose(found, Float64Array.from(expected.flatMap((row) => [...row])), { rtol: 2e-3 }, 'new images');
  });

  test('leaves the model that all images together would have left', () => {
    const { offset, means, whitening, shrinkage } = grown.model;
    const all = [...old, ...added];
    const mean = meanOf(all);
    expectClose(
      offset,
      mean.map((value) => -value),
      { atol: 1e-4 },
      'offset',
    );
    const scatter = all.reduce(
      (sum, row) => sum + minus(row, mean).reduce((square, value) => square + value ** 2, 0),
      0,
    );
    expectClose([grown.variance], [scatter / (N + n)], { rtol: 1e-4 }, 'variance');
    expect(grown.images).toBe(N + n);
    expect(shrinkage).toHaveLength(N + n - 1);
    const statistics = plainStatistics([...oldResiduals, ...newResiduals], d);
    expectClose(means, statistics.means, { atol: 1e-3 }, 'means');
    for (let p = 0; p < P; p++) {
      const rows = Array.from({ length: d }, (_, i) => [...whitening.subarray((p * d + i) * d, (p * d + i + 1) * d)]);
      const inverse = new Matrix(rows).mmul(new Matrix(rows).transpose());
      const expected = statistics.inverses[p]!.to1DArray();
      expectClose(inverse.to1DArray(), expected, { atol: 0.05, rtol: 0.01 }, `position ${p}`);
    }
  });

  test('takes away what a subspace of all images takes away', () => {
    const { components, scales, shrinkage } = grown.model;
    const all = [...old, ...added];
    const other = image(true);
    const v = minus(other, meanOf(all));
    const left = Float64Array.from(v);
    for (const [r, c] of shrinkage.entries()) {
      const direction = Float64Array.from(components.subarray(r * K, (r + 1) * K), (step) => step * scales[r]!);
      const amount = direction.reduce((sum, value, k) => sum + value * v[k]!, 0);
      for (let k = 0; k < K; k++) left[k]! -= c * amount * direction[k]!;
    }
    expectClose(left, plainResidual(all)(other), { atol: 0.1 }); // steps of 1/63 of the largest entry
  });

  test('is the same to the bit with one thread', async () => {
    const { grown: again } = await grow(added, foldsOfAdded, 3, 1);
    expect(again.heldOut).toEqual(grown.heldOut);
    expect(again.model).toEqual(grown.model);
  });

  test('a single image is measured by the old ones alone', async () => {
    const { grown: byOne } = await grow(added.slice(0, 1), Int32Array.of(0), 1);
    const expected = plainDistances(plainResidual(old)(added[0]!), plainStatistics(oldResiduals, d));
    expectClose(byOne.heldOut.subarray(N * P), expected, { rtol: 2e-3 });
    const mean = meanOf([...old, added[0]!]);
    expectClose(
      byOne.model.offset,
      mean.map((value) => -value),
      { atol: 1e-4 },
      'offset',
    );
  });
});

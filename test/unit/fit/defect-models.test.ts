import { describe, expect, test } from 'vitest';
import { learnClassifier } from '../../../src/fit/classifier-head.js';
import type { DefectFeatures } from '../../../src/fit/defect-images.js';
import { defectSamples } from '../../../src/fit/defect-samples.js';
import { learnRisk } from '../../../src/fit/risk-model.js';
import { createCompute } from '../../../src/shared/compute.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { riskProbability } from '../../../src/shared/kernels/risk-function.js';
import { expectClose } from '../../helpers/arrays.js';

const random = createRandom(17);
const floats = (length: number, value: (index: number) => number) => Float32Array.from({ length }, (_, i) => value(i));

/** Good images, then defects made on images 0, 1, 2, .. of them, with embeddings that the first 40 channels tell apart. */
function madeUpSamples(good: number, defects: number, strength: number) {
  const embedding = (shift: number) => floats(1280, (j) => Math.max(0, random.normal() + (j < 40 ? shift : 0)));
  const appearance = () => Float64Array.from({ length: 3 }, random.uniform);
  const patches = 10;
  const distances = floats((good + defects) * patches, (i) =>
    Math.abs(random.normal() + (i % patches === 3 && i >= good * patches ? 3 * strength : 0)),
  );
  const images = (count: number, shift: number) => ({
    projected: [],
    subspaceVectors: [],
    embeddings: Array.from({ length: count }, () => embedding(shift)),
    appearances: Array.from({ length: count }, appearance),
  });
  const madeOn = Array.from({ length: defects }, (_, index) => index % good);
  const made: DefectFeatures = { kind: 'synthetic', madeOn, ...images(defects, strength) };
  return { goodImages: images(good, 0), made, distances };
}

describe('samples', () => {
  const { goodImages, made, distances } = madeUpSamples(6, 8, 1);
  const samples = defectSamples(goodImages, { ...made, madeOn: [0, 1, 2, 3, 4, 5, -1, -1] }, distances);

  test('are the good images, then those of defects', () => {
    expect([...samples.labels]).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
    expectClose(samples.embeddings.slice(1280, 2560), goodImages.embeddings[1]!);
    expectClose(samples.embeddings.slice(-1280), made.embeddings[7]!);
    expect(samples.embeddings.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test('have the mean and largest patch distance before what the image itself shows', () => {
    const ofDefect = distances.subarray(60, 70);
    const mean = ofDefect.reduce((sum, distance) => sum + distance, 0) / 10;
    expectClose(samples.features.slice(30, 35), [mean, Math.max(...ofDefect), ...made.appearances[0]!]);
  });

  test('of one image belong together; a labelled defect stands alone', () => {
    expect([...samples.groups]).toEqual([0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 12, 13]);
  });
});

describe('classifier', () => {
  const learn = async (strength: number, threads: number) => {
    const { goodImages, made, distances } = madeUpSamples(40, 40, strength);
    const samples = defectSamples(goodImages, made, distances);
    const compute = createCompute({ threads });
    let fitted = 0;
    const options = { seed: 0, compute, onFitted: () => fitted++ };
    const [head, again] = [await learnClassifier(samples, options), await learnClassifier(samples, options)];
    await compute.close();
    expect(fitted).toBe(4);
    expect(again).toEqual(head);
    return { head, samples };
  };

  test('tells defects apart by the channels that differ', async () => {
    const { head, samples } = await learn(1.5, 2);
    expect(head.auroc).toBeGreaterThan(0.95);
    const odds = Array.from(samples.labels, (_, image) =>
      samples.embeddings
        .subarray(image * 1280, (image + 1) * 1280)
        .reduce((sum, value, j) => sum + head.weights[j]! * value, head.bias),
    );
    expect(odds.map((value) => Number(value >= 0))).toEqual([...samples.labels]);
    const mean = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(head.weights.slice(0, 40))).toBeGreaterThan(10 * Math.abs(mean(head.weights.slice(40))));
  });

  test('knows that it cannot tell what does not differ', async () => {
    const { head } = await learn(0, 1);
    expect(head.auroc).toBeGreaterThan(0.2);
    expect(head.auroc).toBeLessThan(0.8);
  });

  test('a defect made on an image is never judged by a model that knows the image', async () => {
    // Each image has a pattern of its own, which is all that its defect shares with it: known from the good one, it misleads.
    const { goodImages, made, distances } = madeUpSamples(60, 60, 0);
    made.embeddings = goodImages.embeddings.map((embedding) => embedding.slice());
    const samples = defectSamples(goodImages, made, distances);
    const compute = createCompute({ threads: 2 });
    const { auroc } = await learnClassifier(samples, { seed: 0, compute, onFitted() {} });
    await compute.close();
    expect(auroc).toBeCloseTo(0.5, 9);
  });
});

describe('risk', () => {
  const { goodImages, made, distances } = madeUpSamples(150, 60, 1.5);
  const samples = defectSamples(goodImages, made, distances);
  const learned = learnRisk(samples, 4);

  test('follows the feature that tells, and no other', () => {
    if (learned.model.kind !== 'logistic') throw new Error('Expected a logistic regression');
    const [mean, max, ...others] = learned.model.weights;
    expect(max).toBeGreaterThan(1);
    expect(mean).toBeGreaterThan(-0.5);
    for (const weight of others) expect(Math.abs(weight)).toBeLessThan(max! / 4);
    expect(learned.comparison.logistic.auroc).toBeGreaterThan(0.8);
    const risks = riskProbability(learned.model, samples.features);
    const meanOf = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(meanOf(risks.subarray(0, 150))).toBeLessThan(0.3);
    expect(meanOf(risks.subarray(150))).toBeGreaterThan(0.7);
  });

  test('is explained against 100 different good images and their medians', () => {
    const rowsOf = (values: Float64Array) =>
      Array.from({ length: values.length / 5 }, (_, row) => values.slice(5 * row, 5 * row + 5).join());
    const good = rowsOf(samples.features.slice(0, 150 * 5));
    const background = rowsOf(learned.background);
    expect(background).toHaveLength(100);
    expect(new Set(background).size).toBe(100);
    for (const row of background) expect(good).toContain(row);
    const sorted = Array.from({ length: 150 }, (_, row) => samples.features[5 * row + 2]!).sort((a, b) => a - b);
    expect(learned.usual[2]).toBeCloseTo((sorted[74]! + sorted[75]!) / 2, 12);
    expect(learnRisk(samples, 4)).toEqual(learned);
    expect(learnRisk(samples, 5).background).not.toEqual(learned.background);
  });
});

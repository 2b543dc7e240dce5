import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractDefects } from '../../src/fit/defect-images.js';
import { type DefectSamples, defectSamples } from '../../src/fit/defect-samples.js';
import { buildBanks, foldsOf, noFold } from '../../src/fit/memory-banks.js';
import { createPatchExtractor, extractFeatures, projectFeatures } from '../../src/fit/patch-features.js';
import { fitProjection } from '../../src/fit/projection.js';
import { readHeaders } from '../../src/fit/readable-images.js';
import { learnRisk } from '../../src/fit/risk-model.js';
import { directoryImages } from '../../src/fit/training-images.js';
import { writeSimulatedDataset } from '../../src/producer/simulated-camera.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { predictProbability } from '../../src/shared/kernels/logistic-regression.js';
import { mean } from '../../src/shared/kernels/quantile.js';
import { gridOf } from '../../src/shared/patchcore/score-graph.js';

const [known, unseen, dims, seed] = [40, 20, 32, 0];
const input = { height: 192, width: 256 };
const { height, width } = gridOf(input);
const patches = height * width;

let folder: string;
let compute: Compute;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-risk-'));
  await writeSimulatedDataset(folder, { seed: 9, train: known + unseen, good: 0, perDefect: 0 });
  compute = createCompute({ threads: 2 });
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

/** Samples of 40 good plates and made-up defects on them, then 20 good plates that no bank has seen. */
async function simulate() {
  const extraction = { compute, input, maxImageBytes: 1e7 };
  const extractor = await createPatchExtractor('int8', extraction);
  const { images } = await readHeaders(await directoryImages(folder), () => {});
  const [good, others] = [images.slice(0, known), images.slice(known)];
  const training = await extractFeatures(good, extractor, extraction, () => {});
  const fresh = await extractFeatures(others, extractor, extraction, () => {});
  const foldOf = foldsOf(known, 5, seed);
  const count = () => () => {};
  const defects = await extractDefects([], { ...training, extractor, concurrency: 4, foldOf, seed, count });

  const projection = fitProjection(training.moments, dims);
  const project = (raw: Float32Array[]) => projectFeatures(raw, projection, patches, compute);
  const freshOnes = { ...defects, ...fresh, madeOn: fresh.raw.map(() => -1) };
  const projected = await project(training.raw);
  const measured = await project([...defects.raw, ...fresh.raw]);
  /** With the banks that measure good plates and defects. */
  return async (bankOf: number[]): Promise<{ samples: DefectSamples; unseenFeatures: Float64Array }> => {
    const data = { projected, others: measured, patches, dims, foldOf: [...bankOf, ...Array(unseen).fill(noFold)] };
    const { distances } = await buildBanks(data, { rows: 3000, folds: 5, seed, compute, onChosen() {} });
    const ofSamples = distances.slice(0, bankOf.length * patches);
    const ofUnseen = distances.slice(bankOf.length * patches);
    const nothing = { raw: [], embeddings: [], appearances: [] };
    return {
      samples: defectSamples(training, defects, ofSamples),
      unseenFeatures: defectSamples(nothing, freshOnes, ofUnseen).features,
    };
  };
}

test('good plates look risky to a model whose good images were measured by a bank of their own patches', async () => {
  const measure = await simulate();
  const folds = [...foldsOf(known, 5, seed)];
  const madeOn = Array.from({ length: 120 }, (_, defect) => defect % known);
  const heldOut = await measure([...folds, ...madeOn.map((image) => folds[image]!)]);
  const ownBank = await measure(Array(known + 120).fill(noFold));
  const [right, wrong] = [heldOut, ownBank].map(({ samples, unseenFeatures }) => {
    const { model, auroc } = learnRisk(samples, seed);
    const risks = predictProbability(model, unseenFeatures);
    return { auroc, mean: mean(risks), risky: risks.filter((risk) => risk >= 0.5).length / unseen };
  });
  expect(right!.mean).toBeLessThan(0.25);
  expect(right!.risky).toBeLessThan(0.1);
  expect(wrong!.mean).toBeGreaterThan(0.4);
  expect(wrong!.risky).toBeGreaterThan(0.4);
  expect(wrong!.auroc).toBeGreaterThan(right!.auroc); // its own figures do not give it away
});

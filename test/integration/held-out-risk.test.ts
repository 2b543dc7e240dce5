import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractDefects } from '../../src/fit/defect-images.js';
import { type DefectSamples, defectSamples } from '../../src/fit/defect-samples.js';
import { buildBanks, foldsOf, noFold } from '../../src/fit/memory-banks.js';
import { extractFeatures } from '../../src/fit/patch-features.js';
import { fitProjection } from '../../src/fit/projection.js';
import { createProjector } from '../../src/fit/projector.js';
import { readHeaders } from '../../src/fit/readable-images.js';
import { learnRisk } from '../../src/fit/risk-model.js';
import { directoryImages } from '../../src/fit/training-images.js';
import { writeSimulatedDataset } from '../../src/producer/simulated-camera.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { mean } from '../../src/shared/kernels/quantile.js';
import { riskProbability } from '../../src/shared/kernels/risk-function.js';
import { bankLayers } from '../../src/shared/networks.js';
import { gridOf } from '../../src/shared/patchcore/patch-vectors.js';

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
  const form = { layers: bankLayers, neighbourhood: 'inside' } as const;
  const { images } = await readHeaders(await directoryImages(folder), () => {});
  const extract = (some: typeof images) => extractFeatures(some, 'int8', form, extraction, () => {});
  const training = await extract(images.slice(0, known));
  const fresh = await extract(images.slice(known));
  const foldOf = foldsOf(known, 5, seed);
  const count = () => () => {};

  const weighted = bankLayers.map((name) => [name, 1] as const);
  const projection = fitProjection(training.moments, weighted, dims);
  const projector = await createProjector('int8', { ...form, projection }, extraction);
  const pixels = new Map(training.pixels.entries());
  const defects = await extractDefects([], { ...extraction, projector, pixels, concurrency: 4, foldOf, seed, count });
  const { projected } = await projector.project(training.pixels, count());
  const { projected: ofFresh } = await projector.project(fresh.pixels, count());
  const length = patches * dims;
  const freshOnes = { ...defects, ...fresh, madeOn: fresh.images.map(() => -1) };
  const measured = [
    ...defects.projected,
    ...fresh.images.map((_, image) => ofFresh.subarray(image * length, (image + 1) * length)),
  ];
  /** With the banks that measure good plates and defects. */
  return async (bankOf: number[]): Promise<{ samples: DefectSamples; unseenFeatures: Float64Array }> => {
    const data = { projected, others: measured, patches, dims, foldOf: [...bankOf, ...Array(unseen).fill(noFold)] };
    const options = { bankRows: () => 3000, spacing: true, reweighted: false, folds: 5, seed, compute, onChosen() {} };
    const { distances } = await buildBanks(data, options);
    const ofSamples = distances.slice(0, bankOf.length * patches);
    const ofUnseen = distances.slice(bankOf.length * patches);
    const nothing = { embeddings: [], appearances: [] };
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
    const { model, comparison } = learnRisk(samples, seed);
    const { auroc } = comparison[model.kind];
    const risks = riskProbability(model, unseenFeatures);
    return { auroc, mean: mean(risks), risky: risks.filter((risk) => risk >= 0.5).length / unseen };
  });
  expect(right!.mean).toBeLessThan(0.25);
  expect(right!.risky).toBeLessThan(0.1);
  expect(wrong!.mean).toBeGreaterThan(0.4);
  expect(wrong!.risky).toBeGreaterThan(0.4);
  expect(wrong!.auroc).toBeGreaterThan(right!.auroc); // its own figures do not give it away
});

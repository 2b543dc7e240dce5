import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExplainedClassifier } from '../../src/explain/explained-classifier.js';
import { requireMethod } from '../../src/explain/methods.js';
import { bindClassifier } from '../../src/fit/bound-classifier.js';
import { bundleClassifier } from '../../src/fit/bundle-classifier.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { expectArray, readNpy } from '../../src/shared/npy.js';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { prepareImage } from '../../src/shared/onnx/image-input.js';
import { packModel } from '../../src/shared/onnx/packed-model.js';
import { runGraph } from '../../src/shared/onnx/run-graph.js';
import { createScorer } from '../../src/shared/patchcore/scorer.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { drawGradcam } from '../../src/workers/gradcam.js';
import { expectClose } from '../helpers/arrays.js';
import { runCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';

let fitted: FittedStore;
let bundle: LoadedBundle;
let compute: Compute;
beforeAll(async () => {
  fitted = await createFittedStore(1, 1);
  bundle = await loadBundle(await openStore(fitted.storeUrl), 'plate', 'v1');
  compute = createCompute({ threads: 2 });
});
afterAll(async () => {
  await compute.close();
  await fitted.remove();
});

const lengthOf = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const relativeDifference = (got: Float32Array, want: Float32Array) =>
  lengthOf(got.map((value, i) => value - want[i]!)) / lengthOf(want);

const evaluate = (...args: string[]) =>
  runCommand(['evaluate', fitted.images, '--product', 'plate', '--store', fitted.storeUrl, ...args]);

test("what is judged is what inspections show: the bundle's classifier and its Grad-CAM++", async () => {
  const image = await readFile(
    join(fitted.images, 'test/scratch', (await readdir(join(fitted.images, 'test/scratch')))[0]!),
  );
  const scorer = createScorer(compute, { limits: { maxImageBytes: 1e7 }, maxLoadedBundles: 2 });
  const scored = await scorer.score(image, bundle);
  const context = { compute, classifiers: new Map(), maxLoadedBundles: 2 };
  const shown = await drawGradcam(await scorer.pack(scored), 'plate', async () => bundle.classifier, context);

  const classifier = await bundleClassifier(bundle.bundle, bundle.classifier);
  const x = prepareImage(scored.pixels, scored.height, scored.width, classifier.input);
  const { differentiator, target, probabilitiesOf } = await bindClassifier(classifier, x, runGraph);
  const question = {
    differentiator,
    run: runGraph,
    x,
    layout: 'nchw',
    targets: [[target]],
    layer: classifier.layer,
  } as const;
  const { maps } = await requireMethod('grad-cam++').prepare({})(question, () => expect.fail('reads nothing'));
  const want = expectArray(readNpy(shown.map), 'map', 'float32').data;
  // Means of whole images are rounded otherwise in a batch, which moves an int8 network by some per cent and a float one not.
  expect(relativeDifference(maps[0]!.data, want)).toBeLessThan(0.1);
  const rows = { count: 3, write: (_: number, row: Float32Array) => row.set(x.data) };
  expectClose(await probabilitiesOf(rows), new Float64Array(3).fill(shown.classifier.probability), { atol: 0.05 });
});

describe('a classifier of two classes with one score', () => {
  /** The score is the mean of the pixels less 0.5. */
  function meanClassifier(defect: number): ExplainedClassifier {
    const graph = createGraphBuilder();
    const image = graph.input('image', 'float32', ['N', 1, 2, 2]);
    const mean = graph.add('Flatten', [graph.add('GlobalAveragePool', [image])]);
    const scores = graph.add('Sub', [mean, graph.scalar(0.5)]);
    graph.output(scores);
    const input = {
      name: image,
      channels: 1,
      height: 2,
      width: 2,
      layout: 'nchw',
      scale: 1,
      mean: [0],
      std: [1],
    } as const;
    return {
      ...{ model: packModel(graph.build()), input: { ...input, mean: [0], std: [1] }, scores, classes: 1, defect },
      ...{ layer: image, activation: 'softmax' },
    };
  }
  const bright = { data: new Float32Array(4).fill(2.5), dims: [1, 1, 2, 2] };

  test.each([
    { defect: 1, probability: 1 / (1 + Math.exp(-2)), slope: 0.25 },
    { defect: 0, probability: 1 / (1 + Math.exp(2)), slope: -0.25 },
  ])('whose class $defect means a defect', async ({ defect, probability, slope }) => {
    const { differentiator, target, probabilitiesOf } = await bindClassifier(meanClassifier(defect), bright, runGraph);
    expectClose(await probabilitiesOf({ count: 1, write: (_, row) => row.set(bright.data) }), [probability], {
      atol: 1e-6,
    });
    expect(target).toBe(0);
    expectClose(await differentiator.gradient(bright.data, Float32Array.of(1)), new Float32Array(4).fill(slope), {
      atol: 1e-6,
    });
  });
});

test('explanations of a test set are judged, printed and drawn', async () => {
  const out = join(fitted.images, '../report');
  const args = ['--explanations', 'grad-cam++', '--explanation-images', '1', '--out', out, '--json'];
  const { code, stdout } = await evaluate(...args);
  expect(code).toBe(0);
  const { explanations, images } = JSON.parse(stdout);
  expect(images).toBeGreaterThan(1);
  expect(explanations).toMatchObject({
    ...{ images: 1, withMask: 1, noiseImages: 20, measured: 'probability of a defect by the classifier of the bundle' },
    classifier: { of: 'bundle' },
  });
  expect(Object.keys(explanations.methods)).toEqual(['grad-cam++', 'random-pixels', 'random-regions']);
  for (const [name, method] of Object.entries<Record<string, { mean: number } | null>>(explanations.methods)) {
    for (const figure of ['energyInMask', 'pointingGame', 'deletion', 'insertion', 'flipping']) {
      expect(method[figure]!.mean, `${name} ${figure}`).toBeGreaterThanOrEqual(0);
      expect(method[figure]!.mean, `${name} ${figure}`).toBeLessThanOrEqual(1);
    }
    expect(method.severityDeletion === null).toBe(name === 'grad-cam++');
  }
  expect(JSON.parse(await readFile(join(out, 'report.json'), 'utf8')).explanations).toEqual(explanations);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  expect(page).toContain('Explanations of defects');
  for (const file of ['faithfulness.svg', 'localisation.png', 'pictures/explanations-1.png']) {
    expect((await readFile(join(out, file))).length).toBeGreaterThan(1000);
    if (!file.endsWith('.png') || file.startsWith('pictures')) expect(page).toContain(`src="${file}"`);
  }
  await rm(out, { recursive: true });
});

test('methods that there are not, or that an int8 network has no gradient for, are refused before any work', async () => {
  const unknown = await evaluate('--explanations', 'grad-cam++,salience');
  expect(unknown).toMatchObject({ code: 2, stdout: '' });
  expect(unknown.stderr).toMatch(
    /^ARGUMENT_INVALID: Expected some of anomaly-map, .*"salience" \(did you mean saliency\?\)/,
  );
  const steps = await evaluate('--explanations', 'saliency');
  expect(steps).toMatchObject({ code: 2, stdout: '' });
  expect(steps.stderr).toMatch(
    /^ARGUMENT_INVALID: .* int8 network of bundle v1 but received saliency: fit with --network float/,
  );
});

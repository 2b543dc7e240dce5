import { describe, expect, test } from 'vitest';
import { createDifferentiator } from '../../../src/explain/differentiator.js';
import { explainByLime } from '../../../src/explain/lime/explain.js';
import { cosineDistances, fitLocalModels, kernelWeights } from '../../../src/explain/lime/local-model.js';
import { limeOptions } from '../../../src/explain/lime/options.js';
import { createSampleScorer } from '../../../src/explain/lime/sampled-images.js';
import { binarySamples, hideAll } from '../../../src/explain/lime/samples.js';
import { hideRest, outlineMask, positiveMask, segmentOrder } from '../../../src/explain/lime/views.js';
import { bindNetwork } from '../../../src/explain/network.js';
import { probabilitiesBy } from '../../../src/explain/probabilities.js';
import type { Question } from '../../../src/explain/question.js';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { readModelFile } from '../../../src/shared/onnx/model-file.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { type GoldenCase, goldenCases } from '../../helpers/golden.js';

const size = { H: 32, W: 32 };
const pixelAxes = { C: 3, ...size, channelStep: 1, positionStep: 3 };
const inputAxes = { N: 1, C: 3, ...size, channelStep: 1024, positionStep: 1 };

/** As the golden cases say: (image / 255 - 0.5) / 0.25, channels first. */
const prepare = (pixels: Uint8Array) =>
  float32(3 * 1024, (i) => (pixels[3 * (i % 1024) + Math.floor(i / 1024)]! / 255 - 0.5) / 0.25);

function read(golden: GoldenCase) {
  const labels = Int32Array.from(golden.int64('segments').data, Number);
  const samples = Uint8Array.from(golden.int64('samples').data, Number);
  const [n, d] = golden.int64('samples').shape as [number, number];
  const label = Number(golden.int64('label').data[0]);
  return { pixels: golden.uint8('image').data, segmentation: { labels, count: d }, samples, n, d, label };
}

test.each(goldenCases('lime-image'))('golden case lime-image $name', async (golden) => {
  const { pixels, segmentation, samples, n, d, label } = read(golden);
  const hidden = hideAll(pixels, pixelAxes, segmentation, golden.name.endsWith('mean') ? 'mean' : 0);
  const x = { data: prepare(pixels), dims: [1, 3, 32, 32] };
  const network = await bindNetwork(await readModelFile(golden.network()), x);
  const scoreSamples = createSampleScorer(network, inputAxes, runGraph);
  const scores = await scoreSamples({ image: x.data, hidden: prepare(hidden), segmentation }, samples);
  const predictions = probabilitiesBy(network)(scores);
  const ofLabel = Float64Array.from({ length: n }, (_, i) => predictions[i * 5 + label]!);
  const distances = cosineDistances(samples, n, d);
  const [model] = fitLocalModels(samples, [ofLabel], d, { kernelWidth: 0.25, ridge: 1 });
  golden.check({
    hidden_image: hidden,
    predictions,
    distances,
    weights: kernelWeights(distances, 0.25),
    coefficients: model!.coefficients,
    order: segmentOrder(model!.coefficients),
    intercept: model!.intercept,
    score: model!.r2,
    local_prediction: model!.prediction,
    mask_top5_positive: positiveMask(model!.coefficients, segmentation.labels, 5),
  });
});

describe('the local model', () => {
  const samples = binarySamples(200, 6, 1);
  const linear = Float64Array.from({ length: 200 }, (_, i) => {
    const row = samples.subarray(i * 6, i * 6 + 6);
    return row.reduce((sum, shown, k) => sum + shown * (k - 2), 0.5);
  });

  test('of a linear function is that function, and explains all of it', () => {
    const [model] = fitLocalModels(samples, [linear], 6, { kernelWidth: 0.25, ridge: 1e-9 });
    expectClose(model!.coefficients, [-2, -1, 0, 1, 2, 3], { atol: 1e-6 });
    expectClose([model!.intercept, model!.prediction, model!.r2], [0.5, 3.5, 1], { atol: 1e-6 });
  });

  test('shrinks with the ridge, and each class is fitted as if alone', () => {
    const other = linear.map((value) => -2 * value);
    const [both, second] = fitLocalModels(samples, [linear, other], 6, { kernelWidth: 0.25, ridge: 5 });
    const [alone] = fitLocalModels(samples, [other], 6, { kernelWidth: 0.25, ridge: 5 });
    expectClose(second!.coefficients, alone!.coefficients);
    expect(Math.abs(both!.coefficients[5]!)).toBeLessThan(2.9);
    expect(both!.r2).toBeLessThan(1);
  });

  test('of predictions that are all alike is their value alone', () => {
    const [model] = fitLocalModels(samples, [new Float64Array(200).fill(0.3)], 6, { kernelWidth: 0.25, ridge: 1 });
    expectClose(model!.coefficients, new Float64Array(6), { atol: 1e-12 });
    expectClose([model!.intercept, model!.r2], [0.3, 1], { atol: 1e-12 });
  });

  test('a sample that shows nothing is at distance 1', () => {
    expectClose(cosineDistances(Uint8Array.of(1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0), 3, 4), [0, 0.5, 1]);
  });
});

describe('samples', () => {
  test('begin with the whole image, are the same for the same seed, and show half of the segments', () => {
    const samples = binarySamples(1000, 20, 3);
    expectClose(samples.subarray(0, 20), new Uint8Array(20).fill(1));
    expectClose(binarySamples(1000, 20, 3), samples);
    expect(Buffer.from(binarySamples(1000, 20, 4)).equals(samples)).toBe(false);
    expect(samples.reduce((sum, shown) => sum + shown, 0) / 20_000).toBeCloseTo(0.5, 1);
  });

  test.each([
    ['nchw', 1, [1, 3, 2, 3]],
    ['nhwc', 3, [1, 2, 3, 3]],
  ] as const)('show and hide segments in the layout %s', async (_, positionStep, dims) => {
    const axes = { N: 1, C: 3, H: 2, W: 3, channelStep: positionStep === 1 ? 6 : 1, positionStep };
    const place = (c: number, p: number) => c * axes.channelStep + p * axes.positionStep;
    const image = new Float32Array(18);
    for (let c = 0; c < 3; c++) for (let p = 0; p < 6; p++) image[place(c, p)] = 10 * c + p;
    const segmentation = { labels: Int32Array.from({ length: 6 }, (_, p) => p % 2), count: 2 };
    const hidden = hideAll(image, axes, segmentation, 'mean');
    const graph = createGraphBuilder();
    const input = graph.input('input', 'float32', ['N', ...dims.slice(1)]);
    graph.add('Flatten', [input], {}, 'logits');
    graph.output('logits');
    const network = await bindNetwork(graph.build(), { data: image, dims });
    const scoreSamples = createSampleScorer(network, axes, runGraph);
    const seen = await scoreSamples({ image, hidden, segmentation }, Uint8Array.of(1, 1, 0, 1, 0, 0));
    expectClose(seen.subarray(0, 18), image);
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < 6; p++) {
        expect(seen[18 + place(c, p)]).toBe(p % 2 === 1 ? 10 * c + p : 10 * c + 2);
        expect(seen[36 + place(c, p)]).toBe(10 * c + (p % 2 === 1 ? 3 : 2));
      }
    }
  });
});

/** Whether a pixel of the left upper quarter is bright decides about class 1 of two. */
async function askQuarter(x: Float32Array, dims: number[], more: Partial<Question> = {}): Promise<Question> {
  const graph = createGraphBuilder();
  const [, C, H, W] = dims as [number, number, number, number];
  const input = graph.input('input', 'float32', ['N', C, H, W]);
  const weights = float32(C * H * W * 2, (i) => {
    const p = Math.floor(i / 2) % (H * W);
    return i % 2 === 1 && p % W < W / 2 && p < (H * W) / 2 ? 0.005 : 0;
  });
  const flat = graph.add('Flatten', [input]);
  graph.add('MatMul', [flat, graph.constant(weights, [C * H * W, 2])], {}, 'logits');
  graph.output('logits');
  const network = await bindNetwork(graph.build(), { data: x, dims });
  const differentiator = createDifferentiator(network, runGraph);
  const targets = [new Array<number>(dims[0]!).fill(1)];
  return { differentiator, run: runGraph, x: { data: x, dims }, layout: 'nchw', targets, ...more };
}

describe('lime', () => {
  const options = limeOptions.parse({ samples: 300, segments: 16, hide: 0 });
  const bright = float32(3 * 1024, (i) => 0.85 + (0.1 * (i % 32)) / 31);

  test('finds where the class is decided, and adds up to its probability', async () => {
    const question = await askQuarter(bright, [1, 3, 32, 32]);
    const { maps, segmentations, models } = await explainByLime(question, options);
    expect(maps[0]!.dims).toEqual([1, 32, 32]);
    const { labels } = segmentations[0]!;
    const { coefficients, r2, prediction } = models[0]![0]!;
    expectClose(
      maps[0]!.data,
      Float32Array.from(labels, (label) => coefficients[label]!),
    );
    const best = segmentOrder(coefficients).slice(0, 4);
    const inside = Array.from(labels.keys()).filter((p) => best.includes(labels[p]!));
    expect(inside.every((p) => p % 32 < 20 && p < 20 * 32)).toBe(true);
    expect(r2).toBeGreaterThan(0.8);
    expect(Math.abs(prediction - 1 / (1 + Math.exp(-0.005 * 768 * 0.87)))).toBeLessThan(0.1);
  });

  test('explains each image of a batch, and each class, as if alone', async () => {
    const dim = bright.map((value, i) => value * (i % 1024 < 512 ? 1 : 0.2));
    const both = await explainByLime(
      {
        ...(await askQuarter(Float32Array.of(...bright, ...dim), [2, 3, 32, 32])),
        targets: [
          [1, 0],
          [0, 1],
        ],
      },
      options,
    );
    expect(both.maps.map(({ dims }) => dims)).toEqual([
      [2, 32, 32],
      [2, 32, 32],
    ]);
    const alone = await explainByLime(await askQuarter(dim, [1, 3, 32, 32]), options);
    expectClose(both.maps[1]!.data.subarray(1024), alone.maps[0]!.data, { atol: 1e-6 });
    expectClose(
      both.models[0]![1]!.coefficients,
      both.models[1]![1]!.coefficients.map((value) => -value),
      { atol: 1e-6 },
    );
  });

  test('takes one channel, hides pixels of an image before they are prepared, and tells how far it is', async () => {
    const grey = await explainByLime(await askQuarter(bright.subarray(0, 1024), [1, 1, 32, 32]), options);
    expect(grey.maps[0]!.dims).toEqual([1, 32, 32]);
    const fed: number[] = [];
    const told: [number, number][] = [];
    const picture = {
      pixels: new Uint8Array(3 * 1024).fill(200),
      prepare: (pixels: Uint8Array) => {
        fed.push(...new Set(pixels));
        return prepare(pixels);
      },
    };
    const more = { picture, report: (...each: [number, number]) => told.push(each) };
    await explainByLime(await askQuarter(bright, [1, 3, 32, 32], more), { ...options, samples: 40, hide: 7 });
    expect(fed).toEqual([7]);
    expect(told.at(-1)).toEqual([40, 40]);
  });

  test('refuses what is no picture', async () => {
    await expect(explainByLime(await askQuarter(new Float32Array(2048), [1, 2, 32, 32]), options)).rejects.toThrowError(
      /Expected images of 1 or 3 channels for lime, .* but received 2 channels in \[1, 2, 32, 32\]/,
    );
  });
});

describe('probabilities', () => {
  const network = async (last: string | undefined, K: number) => {
    const graph = createGraphBuilder();
    const input = graph.input('input', 'float32', ['N', K]);
    const scores = last ? graph.add(last, [input]) : input;
    graph.add('Flatten', [scores], {}, 'logits');
    graph.output('logits');
    return await bindNetwork(graph.build(), { data: float32(K, () => 0.5), dims: [1, K] });
  };

  test('are the softmax of scores, the sigmoid of one alone, and what a network says is one', async () => {
    const scores = Float32Array.of(0, Math.log(3));
    expectClose(probabilitiesBy(await network(undefined, 2))(scores), [0.25, 0.75], { atol: 1e-7 });
    expectClose(probabilitiesBy(await network(undefined, 1))(scores), [0.5, 0.75], { atol: 1e-7 });
    for (const last of ['Softmax', 'Sigmoid']) expectClose(probabilitiesBy(await network(last, 2))(scores), scores);
  });
});

describe('views', () => {
  const labels = Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3);

  test('show the segments that speak most for the class, and no others', () => {
    const coefficients = Float64Array.of(0.1, -5, 0.3, 0.2);
    expect(segmentOrder(coefficients)).toEqual([1, 2, 3, 0]);
    expectClose(positiveMask(coefficients, labels, 2), [0, 0, 0, 0, 1, 1, 1, 1]);
    expectClose(positiveMask(coefficients, labels, 9), [1, 1, 0, 0, 1, 1, 1, 1]);
  });

  test('black out the rest and draw a line along the edge', () => {
    const pixels = new Uint8Array(24).fill(9);
    const mask = Uint8Array.of(0, 0, 0, 1, 1, 1, 1, 1);
    expectClose(hideRest(pixels, mask), [...new Uint8Array(9), ...new Uint8Array(15).fill(9)]);
    const drawn = outlineMask(pixels, mask, 1, 8);
    const yellow = Array.from(mask.keys()).filter((p) => drawn[3 * p] === 255 && drawn[3 * p + 2] === 0);
    expect(yellow).toEqual([2, 3]);
  });
});

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methods } from '../../src/explain/methods.js';
import { readNpy, writeNpy } from '../../src/shared/npy.js';
import { createGraphBuilder, type GraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../src/shared/onnx/model.js';
import { expectClose, float32 } from '../helpers/arrays.js';
import { runCommand, runHere } from '../helpers/command-line.js';
import { goldenCase } from '../helpers/golden.js';

let folder: string;
let made = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-explain-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const place = (ending: string) => join(folder, `${made++}${ending}`);
const net = (name: string) => `test/golden/nets/${name}.onnx`;
const images = (kernel: string, name: string) => `test/golden/${kernel}/${name}/x.npy`;

/** Runs `patchline explain … --json` and reads what it wrote. */
async function explain(...args: string[]) {
  const out = place('.npy');
  const { code, stdout, stderr } = await runHere(['explain', ...args, '--out', out, '--json']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return { report: JSON.parse(stdout), ...readNpy(await readFile(out)) };
}

async function failure(...args: string[]) {
  const { code, stdout } = await runHere(['explain', ...args, '--json']);
  const { error } = JSON.parse(stdout);
  return { exit: code, code: error.code, message: error.message };
}

async function saveNpy(data: Float32Array, shape: number[]): Promise<string> {
  const path = place('.npy');
  await writeFile(path, writeNpy({ dtype: 'float32', shape, data }));
  return path;
}

async function saveModel(compose: (graph: GraphBuilder) => void): Promise<string> {
  const graph = createGraphBuilder();
  compose(graph);
  const path = place('.onnx');
  await writeFile(path, writeModel(graph.build()));
  return path;
}

const usualImages = (count = 2) =>
  saveNpy(
    float32(count * 3 * 1024, (i) => Math.sin(i)),
    [count, 3, 32, 32],
  );

describe('--raw writes what the golden cases hold', () => {
  const cases: [method: string, kernel: string, output: string, shape: number[], options?: object][] = [
    ['gradient', 'input-gradient', 'gradient', [1, 3, 32, 32]],
    ['saliency', 'saliency', 'raw', [1, 32, 32]],
    ['input-x-gradient', 'input-x-gradient', 'attribution', [1, 3, 32, 32]],
    ['guided-backprop', 'guided-backprop', 'gradient', [1, 3, 32, 32]],
    ['integrated-gradients', 'integrated-gradients', 'attribution', [1, 3, 32, 32]],
    ['grad-cam', 'grad-cam', 'map', [1, 8, 8]],
    ['grad-cam++', 'grad-cam-plus-plus', 'map_closed', [1, 8, 8]],
    ['grad-cam++', 'grad-cam-plus-plus', 'map_seed000', [1, 8, 8], { variant: 'relu-gradient' }],
    ['grad-cam++', 'grad-cam-plus-plus', 'map_pgc', [1, 8, 8], { variant: 'signed-gradient' }],
    ['grad-cam++', 'grad-cam-plus-plus-derivatives', 'map', [1, 8, 8], { variant: 'derivatives' }],
    ['hires-cam', 'hires-cam', 'map', [1, 8, 8]],
    ['layer-cam', 'layer-cam', 'map', [1, 8, 8]],
    ['score-cam', 'score-cam', 'map_seed004', [1, 32, 32]],
    ['score-cam', 'score-cam', 'map_pgc', [1, 8, 8], { variant: 'softmax-weights' }],
  ];
  test.each(cases)('%s: %s %s', async (method, kernel, output, shape, options = {}) => {
    const golden = goldenCase(kernel, 'flatten-mlp');
    const target = String(golden.int64('target').data[0]);
    const args = ['--model', net('flatten-mlp'), '--input', images(kernel, 'flatten-mlp'), '--method', method];
    const got = await explain(...args, '--target', target, '--options', JSON.stringify(options), '--raw');
    expect([got.dtype, got.shape, got.report.shape]).toEqual(['float32', shape, shape]);
    const want = golden.output(output);
    expectClose(got.data, want.data, golden.tolerance(output), output);
  });

  test('cam', async () => {
    const golden = goldenCase('cam', 'relu-gap');
    const args = ['--model', net('relu-gap'), '--input', images('cam', 'relu-gap'), '--method', 'cam', '--raw'];
    const { data, shape } = await explain(...args, '--target', String(golden.int64('target').data[0]));
    expect(shape).toEqual([1, 8, 8]);
    expectClose(data, golden.output('map').data, golden.tolerance('map'));
  });
});

describe('without --raw', () => {
  const x = images('input-gradient', 'relu-gap');

  test.each(Object.keys(methods))('%s is shown at the size of the input, from 0 to 1', async (method) => {
    const usual = methods[method]!.needsBackground ? await usualImages() : undefined;
    const options = [
      ...(method === 'smoothgrad' ? ['--options', '{"samples":2}'] : []),
      ...(usual === undefined ? [] : ['--background', usual]),
    ];
    const { data, shape, report } = await explain(
      '--model',
      net('relu-gap'),
      '--input',
      x,
      '--method',
      method,
      ...options,
    );
    expect(shape).toEqual([1, 32, 32]);
    const values = [...(data as Float32Array)];
    expect([Math.min(...values), Math.max(...values)]).toEqual([0, 1]);
    expect(report).toMatchObject({ method, output: 'logits', explained: [{ sample: 0, class: expect.any(Number) }] });
  });

  test('the class of the largest score is taken; several classes make a leading axis, each as if alone', async () => {
    const args = ['--model', net('relu-gap'), '--input', x, '--method', 'grad-cam++'];
    const both = await explain(...args, '--target', '3,1');
    expect(both.shape).toEqual([2, 1, 32, 32]);
    const alone = await explain(...args, '--target', '1');
    expectClose((both.data as Float32Array).subarray(1024), alone.data);
    const largest = await explain(...args);
    const scores: number[] = [];
    for (let target = 0; target < 5; target++) {
      scores.push((await explain(...args, '--target', String(target))).report.explained[0].score);
    }
    expect(largest.report.explained[0].class).toBe(scores.indexOf(Math.max(...scores)));
  });

  test.each(['saliency', 'grad-cam', 'score-cam', 'integrated-gradients'])(
    '%s explains each image of a batch as if alone',
    async (method) => {
      const [first, second] = ['input-gradient', 'smoothgrad'].map(
        (kernel) => goldenCase(kernel, 'flatten-mlp').float32('x').data,
      );
      const batch = await saveNpy(Float32Array.of(...first!, ...second!), [2, 3, 32, 32]);
      const args = [
        '--model',
        net('flatten-mlp'),
        '--method',
        method,
        '--raw',
        '--options',
        method === 'integrated-gradients' ? '{"steps":3}' : '{}',
      ];
      const both = await explain(...args, '--input', batch);
      const alone = await explain(...args, '--input', await saveNpy(second!, [1, 3, 32, 32]));
      expect(both.shape).toEqual([2, ...alone.shape.slice(1)]);
      expect(both.report.explained.map(({ sample }: { sample: number }) => sample)).toEqual([0, 1]);
      expect(both.report.explained[1].class).toBe(alone.report.explained[0].class);
      expectClose((both.data as Float32Array).subarray(alone.data.length), alone.data, { atol: 1e-5, rtol: 1e-4 });
    },
  );
});

describe('a directory', () => {
  test('gets the explanation and an overlay over the scaled input', async () => {
    const out = place('');
    const args = [
      '--model',
      net('relu-gap'),
      '--input',
      images('input-gradient', 'relu-gap'),
      '--method',
      'grad-cam',
      '--out',
      out,
    ];
    const { code, stdout } = await runHere(['explain', ...args]);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^grad-cam of logits at features\nclass \d: score -?[\d.]+\nwrote .*explanation.npy \[1, 32, 32\]\nwrote .*overlay.png\n$/,
    );
    expect(readNpy(await readFile(join(out, 'explanation.npy'))).shape).toEqual([1, 32, 32]);
    expect(await sharp(join(out, 'overlay.png')).metadata()).toMatchObject({ width: 32, height: 32, channels: 3 });
  });

  test('gets one overlay for each class, over an image as the model saw it', async () => {
    const picture = place('.png');
    await sharp({ create: { width: 64, height: 48, channels: 3, background: '#408020' } })
      .png()
      .toFile(picture);
    const out = place('');
    const args = [
      '--model',
      net('relu-gap'),
      '--input',
      picture,
      '--method',
      'saliency',
      '--target',
      '0,2',
      '--out',
      out,
    ];
    const { code, stdout } = await runHere(['explain', ...args, '--json']);
    expect(code).toBe(0);
    const { files } = JSON.parse(stdout);
    const overlays = [0, 2].map((target) => join(out, `overlay-sample-0-class-${target}.png`));
    expect(files).toEqual([join(out, 'explanation.npy'), ...overlays]);
    const { data } = await sharp(overlays[0]).raw().toBuffer({ resolveWithObject: true });
    expect(data[1]).toBeGreaterThanOrEqual(Math.floor(0.6 * 0x80)); // the picture shows through
  });
});

describe('lime', () => {
  const args = ['--model', net('relu-gap'), '--input', images('input-gradient', 'relu-gap'), '--method', 'lime'];

  test('gives each pixel the coefficient of its segment, the same for the same seed', async () => {
    const options = (seed: number) => ['--raw', '--options', JSON.stringify({ samples: 50, segments: 9, seed })];
    const { data, shape, report } = await explain(...args, ...options(1));
    expect(shape).toEqual([1, 32, 32]);
    const { coefficients, r2, intercept, prediction } = report.explained[0].localModel;
    expect([...new Set(data as Float32Array)].sort()).toEqual([...Float32Array.from(coefficients)].sort());
    expect(r2).toBeLessThanOrEqual(1);
    const sum = coefficients.reduce((total: number, value: number) => total + value, intercept);
    expectClose([prediction], [sum], { atol: 1e-12 });
    expectClose((await explain(...args, ...options(1))).data, data);
    expect((await explain(...args, ...options(2))).data).not.toEqual(data);
  });

  test.each([
    ['slic', '{"samples":20,"segments":9,"compactness":20,"topLabels":2}', 2],
    ['quickshift', '{"samples":20,"segmentation":"quickshift","kernelSize":2,"hide":0,"topLabels":9}', 5],
  ])('writes segments and pictures for each of the top labels: %s', async (_, options, labels) => {
    const out = place('');
    const { code, stdout } = await runHere(['explain', ...args, '--options', options, '--out', out, '--json']);
    expect(code).toBe(0);
    const { files, explained, shape } = JSON.parse(stdout);
    expect(shape).toEqual([labels, 1, 32, 32]);
    const scores = explained.map(({ score }: { score: number }) => score);
    expect(scores).toEqual(scores.toSorted((a: number, b: number) => b - a));
    const segments = readNpy(await readFile(join(out, 'segments.npy')));
    expect([segments.dtype, segments.shape]).toEqual(['int32', [1, 32, 32]]);
    expect(Math.max(...(segments.data as Int32Array)) + 1).toBe(explained[0].localModel.coefficients.length);
    const pictures = explained.flatMap(({ class: target }: { class: number }) =>
      ['overlay', 'positive', 'hide-rest'].map((kind) => join(out, `${kind}-sample-0-class-${target}.png`)),
    );
    expect(files).toEqual([join(out, 'explanation.npy'), join(out, 'segments.npy'), ...pictures]);
    for (const picture of pictures) expect(await sharp(picture).metadata()).toMatchObject({ width: 32, height: 32 });
  });
});

test('an image is prepared by --scale, --mean, --std and --layout', async () => {
  const picture = place('.png');
  const pixels = Uint8Array.from({ length: 4 * 6 * 3 }, (_, i) => (i * 31) % 256);
  await sharp(pixels, { raw: { width: 6, height: 4, channels: 3 } })
    .png()
    .toFile(picture);
  // The gradient of Σ x² / 2 is the input itself.
  const model = await saveModel((graph) => {
    const input = graph.input('image', 'float32', ['N', 'H', 'W', 3]);
    const squares = graph.add('Mul', [graph.add('Mul', [input, input]), graph.scalar(0.5)]);
    graph.output(
      'energy',
      graph.add('ReduceSum', [graph.add('Flatten', [squares]), graph.integers(1)], { keepdims: 1 }),
    );
  });
  const args = ['--model', model, '--input', picture, '--method', 'gradient', '--raw', '--layout', 'nhwc'];
  const { data, shape } = await explain(...args, '--scale', '255', '--mean', '1,2,3', '--std', '2,4,8');
  expect(shape).toEqual([1, 4, 6, 3]);
  expectClose(
    data,
    float32(72, (i) => (pixels[i]! - [1, 2, 3][i % 3]!) / [2, 4, 8][i % 3]!),
    { rtol: 1e-5, atol: 1e-5 },
  );
});

test('axes that the model leaves open take the size of the input', async () => {
  const model = await saveModel((graph) => {
    const input = graph.input('input', 'float32', ['N', 3, 'H', 'W']);
    const kernel = graph.constant(
      float32(4 * 3 * 9, (i) => Math.sin(i)),
      [4, 3, 3, 3],
    );
    const map = graph.add('Relu', [graph.add('Conv', [input, kernel], { pads: [1, 1, 1, 1] })], {}, 'map');
    const pooled = graph.add('Flatten', [graph.add('GlobalAveragePool', [map])]);
    graph.add(
      'MatMul',
      [
        pooled,
        graph.constant(
          float32(8, (i) => Math.cos(i)),
          [4, 2],
        ),
      ],
      {},
      'scores',
    );
    graph.output('scores');
  });
  for (const [H, W] of [
    [7, 9],
    [16, 5],
  ] as const) {
    const x = await saveNpy(
      float32(3 * H * W, (i) => Math.cos(i)),
      [1, 3, H, W],
    );
    expect((await explain('--model', model, '--input', x, '--method', 'hires-cam', '--raw')).shape).toEqual([1, H, W]);
  }
});

describe('--check', () => {
  const check = async (method: string, name: string) => {
    const options = method === 'smoothgrad' ? ['--options', '{"samples":3}'] : [];
    const args = [
      '--model',
      net(name),
      '--input',
      images('input-gradient', name),
      '--method',
      method,
      '--check',
      ...options,
    ];
    return (await explain(...args)).report.checks as { promise: string; expected: number; received: number }[];
  };

  test.each(['gradient', 'saliency', 'smoothgrad', 'grad-cam', 'grad-cam++', 'hires-cam', 'layer-cam', 'cam'])(
    '%s holds what it promises',
    async (method) => {
      const checks = await check(method, 'mbconv-se-gap');
      expect(checks.length).toBeGreaterThan(0);
      for (const { promise, expected, received } of checks) {
        expect(Math.abs(received - expected), promise).toBeLessThan(0.01 * Math.abs(expected) + 1e-4);
      }
    },
  );

  test('deep SHAP adds up, and noise is drawn after the background', async () => {
    const given = ['--model', net('relu-gap'), '--input', images('input-gradient', 'relu-gap'), '--method'];
    const { report } = await explain(...given, 'deep-shap', '--background', await usualImages(), '--check');
    const { score, expectedValue, completenessGap } = report.explained[0];
    expect(Math.abs(completenessGap)).toBeLessThan(1e-4);
    expect(report.checks[0]).toMatchObject({ promise: expect.stringContaining('background'), expected: score });
    expect(Math.abs(report.checks[0].received - score)).toBeLessThan(1e-4);
    expect(Math.abs(expectedValue - score)).toBeGreaterThan(1e-3);
    expect(report.faithfulness[0].noiseImages).toBe(2);
    const alone = await explain(...given, 'deep-shap', '--background', await usualImages(1), '--check');
    expect(alone.report.faithfulness[0].noiseImages).toBe(1);
    const without = await explain(...given, 'saliency', '--check');
    expect(without.report.faithfulness[0].noiseImages).toBe(1);
    const withSet = await explain(...given, 'saliency', '--check', '--background', await usualImages());
    expect(withSet.report.faithfulness[0].flipping).not.toBe(without.report.faithfulness[0].flipping);
    expect(withSet.report.faithfulness[0].deletion).toBe(without.report.faithfulness[0].deletion);
  });

  test('integrated gradients state what their steps have missed', async () => {
    const golden = goldenCase('integrated-gradients', 'residual-clip-gap');
    const args = ['--model', net('residual-clip-gap'), '--input', images('integrated-gradients', 'residual-clip-gap')];
    const target = String(golden.int64('target').data[0]);
    const { report } = await explain(...args, '--method', 'integrated-gradients', '--target', target, '--check');
    const [{ promise, expected, received }] = report.checks;
    expect(promise).toBe('sum of the attributions = score of the input - score of the baseline');
    expectClose([received], golden.output('sum').data, golden.tolerance('sum'));
    expectClose([expected], golden.output('delta').data, golden.tolerance('delta'));
    const { completenessGap } = report.explained[0];
    expectClose([completenessGap], golden.output('completeness_error').data, golden.tolerance('completeness_error'));
  });

  test('lime states what its local model says of the image itself', async () => {
    const [{ promise, expected, received }] = await check('lime', 'mbconv-se-gap');
    expect(promise).toBe('probability by the local model with every segment shown = probability of the class');
    expect(Math.abs(received! - expected!)).toBeLessThan(0.2);
  });

  test('measures of images whether the network looks where the explanation says, and draws it', async () => {
    const out = place('');
    const args = ['--model', net('relu-gap'), '--input', images('input-gradient', 'relu-gap'), '--method', 'grad-cam'];
    const { code, stdout } = await runHere(['explain', ...args, '--target', '1,4', '--check', '--json', '--out', out]);
    expect(code).toBe(0);
    const { faithfulness, files } = JSON.parse(stdout);
    expect(faithfulness.map(({ class: target }: { class: number }) => target)).toEqual([1, 4]);
    const { sample, class: _, forwardPasses, noiseImages: __, road, ...areas } = faithfulness[0];
    expect([sample, forwardPasses]).toEqual([0, 214]);
    expect(Object.keys(areas)).toEqual(['deletion', 'insertion', 'flipping', 'flippingAtRandom']);
    for (const area of Object.values<number>(areas)) expect(area > 0 && area < 1).toBe(true);
    expect(Math.abs(road)).toBeLessThan(1);
    for (const target of [1, 4]) {
      const chart = join(out, `faithfulness-sample-0-class-${target}.png`);
      expect(files).toContain(chart);
      expect((await sharp(chart).metadata()).width).toBe(1280);
    }
    const { stdout: lines } = await runHere(['explain', ...args, '--check', '--out', place('.npy')]);
    expect(lines).toMatch(
      /faithfulness for class \d, by 214 forward passes: deletion [\d.]+ \(lower is better\), .* ROAD -?[\d.e-]+ \(higher is better\)/,
    );
  });

  test('what is no image has no faithfulness', async () => {
    const model = await saveModel((graph) => {
      const input = graph.input('input', 'float32', ['N', 3]);
      graph.output('logits', graph.add('MatMul', [input, graph.constant(float32(6, Math.sin), [3, 2])]));
    });
    const x = await saveNpy(Float32Array.of(1, 2, 3), [1, 3]);
    const { report } = await explain('--model', model, '--input', x, '--method', 'gradient', '--raw', '--check');
    expect(report.checks.length).toBeGreaterThan(0);
    expect(report.faithfulness).toBeUndefined();
  });

  test('what promises nothing says so', async () => {
    expect(await check('guided-backprop', 'relu-gap')).toEqual([]);
    expect(await check('score-cam', 'relu-gap')).toEqual([]);
  });
});

test('--list-layers names the feature maps and the one that is taken', async () => {
  const args = ['--model', net('flatten-mlp'), '--input', images('input-gradient', 'flatten-mlp'), '--list-layers'];
  const { code, stdout } = await runHere(['explain', ...args]);
  expect(code).toBe(0);
  expect(stdout.split('\n').filter((line) => line.includes('(default)'))).toEqual([
    'features  [1, 8, 8, 8]  Relu  (default)',
  ]);
  const json = JSON.parse((await runHere(['explain', ...args, '--json'])).stdout);
  expect(json.map(({ name }: { name: string }) => name)).toEqual([
    ...['n0_conv', 'n1_relu', 'n2_conv', 'features', 'n4_maxpool'],
  ]);
  const earlier = [
    '--model',
    net('flatten-mlp'),
    '--input',
    images('input-gradient', 'flatten-mlp'),
    '--method',
    'grad-cam',
    '--raw',
  ];
  expect((await explain(...earlier, '--layer', 'n1_relu')).shape[1]).toBeGreaterThan(8);
});

describe('baselines of integrated gradients', () => {
  const args = [
    '--model',
    net('relu-gap'),
    '--input',
    images('input-gradient', 'relu-gap'),
    '--method',
    'integrated-gradients',
    '--raw',
  ];
  const attribute = (baseline: string) => explain(...args, '--options', JSON.stringify({ steps: 4, baseline }));

  test('differ, and an array of zeros is the one called zero', async () => {
    const zeros = await saveNpy(new Float32Array(3072), [1, 3, 32, 32]);
    const zero = await attribute('zero');
    expectClose((await attribute(zeros)).data, zero.data);
    for (const baseline of ['mean', 'blurred']) {
      expect(Buffer.from((await attribute(baseline)).data.buffer).equals(Buffer.from(zero.data.buffer))).toBe(false);
    }
  });

  test('need the shape of the input', async () => {
    const small = await saveNpy(new Float32Array(12), [1, 3, 2, 2]);
    expect(
      await failure(...args, '--out', place('.npy'), '--options', JSON.stringify({ baseline: small })),
    ).toMatchObject({
      exit: 1,
      code: 'SHAPE_MISMATCH',
    });
  });
});

describe('what cannot be explained is said clearly', () => {
  const x = images('input-gradient', 'relu-gap');
  const ask = (...args: string[]) => failure('--method', 'gradient', '--out', place('.npy'), ...args);
  const vector = (data: number[]) => saveNpy(Float32Array.from(data), [1, data.length]);
  const weights = float32(6, (i) => i - 2);

  test('an input of another shape', async () => {
    const wrong = await saveNpy(new Float32Array(3 * 16 * 16), [1, 3, 16, 16]);
    expect(await ask('--model', net('relu-gap'), '--input', wrong)).toMatchObject({
      exit: 1,
      code: 'MODEL_INPUT_MISMATCH',
      message:
        'Expected float32 of [N, 3, 32, 32] for the input input of the model but received float32 of [1, 3, 16, 16]',
    });
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('an input with %s', async (value) => {
    const data = goldenCase('input-gradient', 'relu-gap').float32('x').data.slice();
    data[1234] = value;
    const wrong = await saveNpy(data, [1, 3, 32, 32]);
    expect(await ask('--model', net('relu-gap'), '--input', wrong)).toMatchObject({
      exit: 1,
      code: 'VALUES_NOT_FINITE',
    });
  });

  test('deep SHAP without a background, and with one that is none', async () => {
    const given = ['--model', net('relu-gap'), '--input', images('input-gradient', 'relu-gap'), '--out', place('.npy')];
    const background = async (data: Float32Array, shape: number[]) => ['--background', await saveNpy(data, shape)];
    const deep = ['--method', 'deep-shap'];
    expect(await failure(...given, ...deep)).toMatchObject({
      ...{
        exit: 2,
        code: 'ARGUMENT_INVALID',
        message: expect.stringContaining('Expected --background beside deep-shap'),
      },
    });
    const unused = await failure(
      ...given,
      '--method',
      'saliency',
      ...(await background(new Float32Array(3072), [1, 3, 32, 32])),
    );
    expect(unused).toMatchObject({ exit: 2, message: expect.stringContaining('only beside deep-shap or --check') });
    const other = await failure(...given, ...deep, ...(await background(new Float32Array(48), [1, 3, 4, 4])));
    expect(other).toMatchObject({ exit: 1, code: 'SHAPE_MISMATCH', message: expect.stringContaining('[1, 3, 4, 4]') });
    const empty = await failure(...given, ...deep, ...(await background(new Float32Array(0), [0, 3, 32, 32])));
    expect(empty).toMatchObject({ exit: 1, code: 'SHAPE_MISMATCH' });
    const holed = new Float32Array(2 * 3072);
    holed[3072 + 5] = Number.NaN;
    const gone = await failure(...given, ...deep, ...(await background(holed, [2, 3, 32, 32])));
    expect(gone).toMatchObject({ code: 'VALUES_NOT_FINITE', message: expect.stringContaining('input 1 holds NaN') });
  });

  test('an integer input', async () => {
    const model = await saveModel((graph) => {
      const ids = graph.input('ids', 'int64', ['N', 3]);
      graph.output(
        'logits',
        graph.add('MatMul', [graph.add('Cast', [ids], { to: 1 }), graph.constant(weights, [3, 2])]),
      );
    });
    expect(await ask('--model', model, '--input', await vector([1, 2, 3]))).toMatchObject({
      exit: 1,
      code: 'MODEL_INPUT_MISMATCH',
      message: expect.stringContaining('only a float32 input can be explained'),
    });
  });

  test('two inputs', async () => {
    const model = await saveModel((graph) => {
      const sum = graph.add('Add', [graph.input('left', 'float32', [1, 3]), graph.input('right', 'float32', [1, 3])]);
      graph.output('logits', sum);
    });
    expect(await ask('--model', model, '--input', await vector([1, 2, 3]))).toMatchObject({
      code: 'MODEL_INPUT_MISMATCH',
      message: expect.stringContaining('received one with 2: left, right'),
    });
  });

  test('several outputs of which none is named, which --output chooses from', async () => {
    const model = await saveModel((graph) => {
      const input = graph.input('input', 'float32', ['N', 3]);
      graph.output('kind', graph.add('MatMul', [input, graph.constant(weights, [3, 2])]));
      graph.output('place', graph.add('Mul', [input, input]));
    });
    const input = await vector([1, 2, 3]);
    expect(await ask('--model', model, '--input', input)).toMatchObject({
      exit: 2,
      code: 'ARGUMENT_INVALID',
      message: expect.stringContaining('the outputs of the model are kind [1, 2], place [1, 3]'),
    });
    const args = ['--model', model, '--input', input, '--method', 'gradient', '--raw', '--target', '1'];
    expectClose((await explain(...args, '--output', 'kind')).data, [-1, 1, 3]);
    expectClose((await explain(...args, '--output', 'place')).data, [0, 4, 0]);
  });

  test('scores that do not follow from the input', async () => {
    const model = await saveModel((graph) => {
      const input = graph.input('input', 'float32', [1, 3]);
      const steps = graph.add('Cast', [graph.add('Greater', [input, graph.scalar(0)])], { to: 1 });
      graph.output('logits', graph.add('MatMul', [steps, graph.constant(weights, [3, 2])]));
    });
    expect(await ask('--model', model, '--input', await vector([1, 2, 3]))).toMatchObject({
      exit: 1,
      code: 'GRADIENT_UNREACHABLE',
    });
  });

  test('control flow on the way', async () => {
    const branch = (op: string) => {
      const inner = createGraphBuilder();
      inner.output('chosen', inner.add(op, ['x']));
      return { ...inner.build().graph, input: [] };
    };
    const graph = createGraphBuilder();
    const input = graph.input('x', 'float32', [1, 3]);
    graph.add('If', [graph.add('Cast', [graph.add('ReduceMax', [input], { keepdims: 0 })], { to: 9 })], {}, 'picked');
    graph.output('logits', 'picked');
    const model = graph.build();
    const node = model.graph.node.find(({ opType }) => opType === 'If')!;
    node.attribute.push(
      { name: 'then_branch', type: 5, g: branch('Neg') },
      { name: 'else_branch', type: 5, g: branch('Abs') },
    );
    const path = place('.onnx');
    await writeFile(path, writeModel(model));
    expect(await ask('--model', path, '--input', await vector([1, 2, 3]))).toMatchObject({
      exit: 1,
      code: 'OP_NOT_SUPPORTED',
      message: expect.stringContaining('If (node picked)'),
    });
  });

  test('a model cut short', async () => {
    const path = place('.onnx');
    await writeFile(path, (await readFile(net('relu-gap'))).subarray(0, 9000));
    expect(await ask('--model', path, '--input', x)).toMatchObject({ exit: 1, code: 'MODEL_DAMAGED' });
  });

  test('a map of a network without feature maps, and a picture of an input that is none', async () => {
    const model = await saveModel((graph) => {
      const input = graph.input('input', 'float32', ['N', 3]);
      graph.output('logits', graph.add('MatMul', [input, graph.constant(weights, [3, 2])]));
    });
    const args = ['--model', model, '--input', await vector([1, 2, 3]), '--out', place('.npy')];
    expect(await failure(...args, '--method', 'grad-cam')).toMatchObject({ exit: 2, code: 'ARGUMENT_INVALID' });
    expect(await failure(...args, '--method', 'gradient')).toMatchObject({ exit: 1, code: 'SHAPE_MISMATCH' });
    expect(await failure(...args, '--method', 'saliency')).toMatchObject({ exit: 1, code: 'SHAPE_MISMATCH' });
    expect(await failure(...args, '--method', 'cam')).toMatchObject({ exit: 1, code: 'CLASSIFIER_NOT_SUPPORTED' });
  });

  test('scores that are no numbers', async () => {
    const model = await saveModel((graph) => {
      graph.output('logits', graph.add('Log', [graph.input('input', 'float32', [1, 3])]));
    });
    expect(await ask('--model', model, '--input', await vector([-1, 1, 2]))).toMatchObject({
      exit: 1,
      code: 'VALUES_NOT_FINITE',
      message: 'Expected class scores but received NaN for sample 0',
    });
  });

  test('a derivative that is not finite', async () => {
    const model = await saveModel((graph) => {
      graph.output('logits', graph.add('Sqrt', [graph.input('input', 'float32', [1, 3])]));
    });
    expect(await ask('--model', model, '--input', await vector([0, 1, 2]), '--target', '0', '--raw')).toMatchObject({
      exit: 1,
      code: 'VALUES_NOT_FINITE',
    });
  });
});

test('as a process it exits 0, and shows no progress where there is no terminal', async () => {
  const args = ['--model', net('relu-gap'), '--input', images('score-cam', 'relu-gap'), '--method', 'score-cam'];
  const { code, stderr } = await runCommand(['explain', ...args, '--out', place('.npy')]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

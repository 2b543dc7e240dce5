import { expect, test } from 'vitest';
import { toGrey } from '../../../src/shared/kernels/grey.js';
import { resizeAntialiased } from '../../../src/shared/kernels/resize.js';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { type Preprocessing, prepareImage, readImageInput } from '../../../src/shared/onnx/image-input.js';
import type { ElementType, GraphProto } from '../../../src/shared/onnx/model.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

const [H, W] = [4, 6];
const pixels = Uint8Array.from({ length: H * W * 3 }, (_, i) => (i * 53) % 256);
const plain: Preprocessing = { scale: 1, layout: 'nchw' };

function graphWith(dims: (number | string)[], type: ElementType = 'float32'): GraphProto {
  const graph = createGraphBuilder();
  graph.output('y', graph.add('Identity', [graph.input('image', type, dims)]));
  return graph.build().graph;
}
const prepare = (dims: (number | string)[], settings: Partial<Preprocessing> = {}) =>
  prepareImage(pixels, H, W, readImageInput(graphWith(dims), { ...plain, ...settings }));

/** Value of channel c at place p of the picture, 0 .. 1. */
const value = (c: number, p: number) => pixels[3 * p + c]! / 255;

test('planes of 0 .. 1 where nothing else is said', () => {
  const { data, dims } = prepare(['N', 3, H, W]);
  expect(dims).toEqual([1, 3, H, W]);
  expectClose(
    data,
    float32(3 * H * W, (i) => value(Math.floor(i / (H * W)), i % (H * W))),
    { atol: 1e-7 },
  );
});

test('(value · scale - mean) / std of each channel', () => {
  const [mean, std] = [
    [100, 110, 120],
    [50, 60, 70],
  ];
  const { data } = prepare([1, 3, H, W], { scale: 255, mean, std });
  const want = float32(3 * H * W, (i) => {
    const c = Math.floor(i / (H * W));
    return (pixels[3 * (i % (H * W)) + c]! - mean[c]!) / std[c]!;
  });
  expectClose(data, want, { atol: 1e-5 });
});

test.each(goldenCases('preprocess'))('golden case preprocess $name', (golden) => {
  const { data, shape } = golden.uint8('image');
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const [H, W] = shape as [number, number, number];
  const input = { name: 'x', channels: 3, layout: 'nchw', scale: 1, mean: mean!, std: std! } as const;
  const { data: tensor } = prepareImage(data, H, W, input);
  golden.check({ tensor });
});

test('channels last', () => {
  const { data, dims } = prepare(['N', H, W, 3], { layout: 'nhwc', mean: [0, 1, 2] });
  expect(dims).toEqual([1, H, W, 3]);
  expectClose(
    data,
    float32(3 * H * W, (i) => value(i % 3, Math.floor(i / 3)) - (i % 3)),
    { atol: 1e-6 },
  );
});

test.each<[(number | string)[], Preprocessing['layout']]>([
  [['N', 1, H, W], 'nchw'],
  [['N', H, W, 1], 'nhwc'],
])('grey for one channel: %j', (dims, layout) => {
  const { data } = prepare(dims, { layout, mean: [0.5], std: [0.25] });
  const grey = toGrey(pixels);
  expectClose(
    data,
    float32(H * W, (i) => (grey[i]! / 255 - 0.5) / 0.25),
    { atol: 1e-6 },
  );
});

test.each([
  [2, 3],
  [8, 5],
])('resized to the size that the network takes: %i x %i', (height, width) => {
  const { data, dims } = prepare([1, 3, height, width]);
  expect(dims).toEqual([1, 3, height, width]);
  expectClose(data, resizeAntialiased(prepare([1, 3, H, W]).data, H, W, height, width));
});

test('a free axis takes the size of the image, a fixed one its own', () => {
  expect(prepare([1, 3, 'height', 'width']).dims).toEqual([1, 3, H, W]);
  expect(prepare([1, 3, 'height', 9]).dims).toEqual([1, 3, H, 9]);
});

test.each<[string, GraphProto, Partial<Preprocessing>, string]>([
  ['two channels', graphWith([1, 2, H, W]), {}, 'float32 of [1, 2, 4, 6]'],
  ['channels in another place', graphWith([1, H, W, 3]), {}, '(layout nchw)'],
  ['a fixed batch', graphWith([8, 3, H, W]), {}, '[8, 3, 4, 6]'],
  ['three axes', graphWith([3, H, W]), {}, '[3, 4, 6]'],
  ['whole numbers', graphWith([1, 3, H, W], 'uint8'), {}, 'uint8'],
])('%s: MODEL_INPUT_MISMATCH', (_, graph, settings, part) => {
  const error = expect.objectContaining({ code: 'MODEL_INPUT_MISMATCH', message: expect.stringContaining(part) });
  expect(() => readImageInput(graph, { ...plain, ...settings })).toThrowError(error);
});

test('two inputs are refused, but one that only names a weight is none', () => {
  const graph = createGraphBuilder();
  const [a, b] = [graph.input('a', 'float32', [1, 3, H, W]), graph.input('b', 'float32', [1, 3, H, W])];
  graph.output('y', graph.add('Add', [a, b]));
  const two = graph.build().graph;
  const error = expect.objectContaining({ code: 'MODEL_INPUT_MISMATCH', message: expect.stringContaining('2 inputs') });
  expect(() => readImageInput(two, plain)).toThrowError(error);
  const weight = { name: 'b', dims: [1], dataType: 1, floatData: [1] };
  expect(readImageInput({ ...two, initializer: [weight] }, plain)).toMatchObject({ name: 'a', channels: 3 });
});

test('mean and std have a value for each channel', () => {
  const error = (name: string) =>
    expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining(name) });
  expect(() => prepare([1, 3, H, W], { mean: [0.5] })).toThrowError(error('3 values for mean'));
  expect(() => prepare([1, 1, H, W], { std: [1, 1, 1] })).toThrowError(error('1 value for std'));
});

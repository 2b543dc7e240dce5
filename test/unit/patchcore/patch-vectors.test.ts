import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../../src/shared/onnx/model.js';
import { createSession } from '../../../src/shared/onnx/session.js';
import { addJoinedLayers, type LayerTensor, type Neighbourhood } from '../../../src/shared/patchcore/patch-vectors.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

interface Layer {
  stride: number;
  /** (channels, height, width) */
  shape: [number, number, number];
  values: Float32Array;
}

/** Joined vectors (P, C) on a grid of some layers. */
async function join(layers: Record<string, Layer>, grid: [number, number], neighbourhood: Neighbourhood) {
  const graph = createGraphBuilder();
  const tensors: LayerTensor[] = Object.entries(layers).map(([name, { stride, shape }]) => ({
    tensor: graph.input(name, 'float32', [1, ...shape]),
    channels: shape[0],
    stride,
  }));
  const [height, width] = grid;
  graph.output('joined', addJoinedLayers(graph, tensors, { height, width }, neighbourhood));
  const session = await createSession(writeModel(graph.build()));
  const feeds = Object.entries(layers).map(([name, { shape, values }]) => [
    name,
    new Tensor('float32', values, [1, ...shape]),
  ]);
  return (await session.run(Object.fromEntries(feeds))).joined!.data as Float32Array;
}

test.each(goldenCases('patch-embedding'))('golden case $name, padded with zeros', async (golden) => {
  const [f1, f2] = [golden.float32('f1'), golden.float32('f2')];
  const batch = f1.shape[0]!;
  const layerOf = ({ data, shape }: typeof f1, image: number, stride: number): Layer => {
    const size = data.length / batch;
    return { stride, shape: shape.slice(1) as Layer['shape'], values: data.slice(image * size, (image + 1) * size) };
  };
  const grid = f1.shape.slice(2) as [number, number];
  const rows: number[] = [];
  for (let image = 0; image < batch; image++) {
    rows.push(...(await join({ f1: layerOf(f1, image, 16), f2: layerOf(f2, image, 32) }, grid, 'padded')));
  }
  golden.check({ embedding: rows }, ['pooled1', 'pooled2']);
});

test('a finer layer is averaged over its 2 × 2 positions in a patch, after its own neighbourhoods', async () => {
  const [h, w] = [3, 2];
  const values = float32(4 * h * w, (i) => (i * 7) % 11);
  const at = (y: number, x: number) => values[y * 2 * w + x]!;
  const mean = (y: number, x: number) => {
    let [sum, count] = [0, 0];
    for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, 2 * h - 1); v++) {
      for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, 2 * w - 1); u++) {
        sum += at(v, u);
        count++;
      }
    }
    return sum / count;
  };
  const expected = float32(h * w, (p) => {
    const [y, x] = [2 * Math.floor(p / w), 2 * (p % w)];
    return (mean(y, x) + mean(y, x + 1) + mean(y + 1, x) + mean(y + 1, x + 1)) / 4;
  });
  const layer: Layer = { stride: 8, shape: [1, 2 * h, 2 * w], values };
  const found = await join({ layer }, [h, w], 'inside');
  expectClose(found, expected, { atol: 1e-5 });
  const padded = await join({ layer }, [h, w], 'padded');
  expect(padded[0]).toBeLessThan(found[0]!);
});

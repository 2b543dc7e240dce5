import { describe, expect, test } from 'vitest';
import { createDifferentiator, seedOf } from '../../../src/explain/differentiator.js';
import { cutHead } from '../../../src/explain/head.js';
import { defaultLayer, findLayers, requireLayer } from '../../../src/explain/layers.js';
import { bindNetwork } from '../../../src/explain/network.js';
import { createRowScorer } from '../../../src/explain/rows.js';
import { createGraphBuilder, type GraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { elementTypes, type ModelProto } from '../../../src/shared/onnx/model.js';
import { type PackedModel, packModel } from '../../../src/shared/onnx/packed-model.js';
import { type RunGraph, runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

function compose(make: (graph: GraphBuilder) => void): ModelProto {
  const graph = createGraphBuilder();
  make(graph);
  return graph.build();
}

const kernel = (graph: GraphBuilder, out: number, into: number, side: number) =>
  graph.constant(
    float32(out * into * side * side, (i) => Math.sin(i + out)),
    [out, into, side, side],
  );

/** (N, C, h, w) to (N, 3) by a global average and a linear layer. */
function addHead(graph: GraphBuilder, map: string, C: number): void {
  const pooled = graph.add('Flatten', [graph.add('GlobalAveragePool', [map])]);
  graph.add(
    'MatMul',
    [
      pooled,
      graph.constant(
        float32(C * 3, (i) => Math.cos(i)),
        [C, 3],
      ),
    ],
    {},
    'logits',
  );
  graph.output('logits');
}

const image = (N: number, C: number, H: number, W: number) => ({
  data: float32(N * C * H * W, (i) => Math.cos(2 * i)),
  dims: [N, C, H, W],
});

describe('layers', () => {
  test('gates of one position and what a transpose has rearranged are none', async () => {
    const model = compose((graph) => {
      const input = graph.input('input', 'float32', ['N', 6, 5, 3]); // channels last
      const first = graph.add('Transpose', [input], { perm: [0, 3, 1, 2] }, 'first');
      const map = graph.add('Relu', [graph.add('Conv', [first, kernel(graph, 4, 3, 3)], {}, 'conv')], {}, 'relu');
      const gate = graph.add('Sigmoid', [graph.add('GlobalAveragePool', [map], {}, 'squeezed')], {}, 'gate');
      const gated = graph.add('Mul', [map, gate], {}, 'gated');
      const last = graph.add('Transpose', [gated], { perm: [0, 2, 3, 1] }, 'last');
      const pooled = graph.add('ReduceMean', [last], { axes: [1, 2], keepdims: 0 });
      graph.output(
        'logits',
        graph.add('MatMul', [
          pooled,
          graph.constant(
            float32(12, (i) => i - 5),
            [4, 3],
          ),
        ]),
      );
    });
    const network = await bindNetwork(model, image(2, 6, 5, 3));
    expect(findLayers(network)).toEqual([
      { name: 'conv', op: 'Conv', dims: [2, 4, 4, 3] },
      { name: 'relu', op: 'Relu', dims: [2, 4, 4, 3] },
      { name: 'gated', op: 'Mul', dims: [2, 4, 4, 3] },
    ]);
    expect(requireLayer(network).name).toBe('gated');
    expect(requireLayer(network, 'first').dims).toEqual([2, 3, 6, 5]); // any tensor of four axes, when it is named
    expect(() => requireLayer(network, 'logits')).toThrow('received logits [2, 3]');
  });

  test('values between quantisation and back are some, though no gradient leads to them', async () => {
    const model = compose((graph) => {
      const scale = graph.scalar(0.1);
      const zero = graph.constant(Int8Array.of(0), []);
      const conv = graph.add(
        'Conv',
        [graph.input('input', 'float32', ['N', 1, 8, 8]), kernel(graph, 2, 1, 3)],
        {},
        'conv',
      );
      const steps = graph.add('QuantizeLinear', [conv, scale, zero], {}, 'steps');
      addHead(graph, graph.add('DequantizeLinear', [steps, scale, zero], {}, 'values'), 2);
    });
    const x = image(1, 1, 8, 8);
    const network = await bindNetwork(model, x);
    expect(findLayers(network).map(({ name }) => name)).toEqual(['conv', 'values']);
    const differentiator = createDifferentiator(network, runGraph);
    const { gradients } = await differentiator.layerGradient('values', x.data, seedOf([0], 3));
    expectClose(
      gradients.subarray(0, 36),
      float32(36, () => 1 / 36),
      { rtol: 1e-5 },
    );
    await expect(differentiator.gradient(x.data, seedOf([0], 3))).rejects.toMatchObject({
      code: 'GRADIENT_UNREACHABLE',
    });
  });

  test('what does not lead to the scores is none', async () => {
    const model = compose((graph) => {
      const map = graph.add(
        'Conv',
        [graph.input('input', 'float32', ['N', 1, 8, 8]), kernel(graph, 2, 1, 3)],
        {},
        'map',
      );
      graph.output('mask', graph.add('Sigmoid', [map], {}, 'other'));
      addHead(graph, map, 2);
    });
    const layers = findLayers(await bindNetwork(model, image(1, 1, 8, 8)));
    expect(layers.map(({ name }) => name)).toEqual(['map']);
    expect(defaultLayer([])).toBeUndefined();
  });
});

describe('rows are scored', () => {
  const rows = { count: 21, write: (index: number, target: Float32Array) => void target.fill(Math.sin(index)) };
  const counting = () => {
    const batches: number[] = [];
    const run: RunGraph = (model, feeds) => {
      batches.push(feeds.input!.dims[0]!);
      return runGraph(model, feeds);
    };
    return { batches, run };
  };

  test.each([
    ['any batch', 'N', 1, [4, 4, 4, 4, 4, 4, 1]], // the first one is a trial
    ['batches of 2', 2, 2, [4, ...new Array<number>(11).fill(2)]],
  ] as const)('by a network that takes %s', async (_, N, samples, expected) => {
    const model = compose((graph) => {
      const map = graph.add('Conv', [graph.input('input', 'float32', [N, 1, 4, 4]), kernel(graph, 2, 1, 3)]);
      addHead(graph, map, 2);
    });
    const network = await bindNetwork(model, image(samples, 1, 4, 4));
    const { batches, run } = counting();
    const told: number[] = [];
    const scores = await createRowScorer(network, run)(rows, (done) => told.push(done));
    expect(batches).toEqual(expected);
    expect(told.at(-1)).toBe(21);
    const { scores: alone } = createDifferentiator(network, runGraph);
    const ones = await alone(new Float32Array(16 * samples).fill(1));
    expectClose(
      scores,
      float32(63, (i) => Math.sin(Math.floor(i / 3)) * ones[i % 3]!),
      { atol: 1e-6, rtol: 1e-5 },
    );
  });
});

test('all classes and inputs share one session for each kind of question and layer', async () => {
  const model = compose((graph) => {
    const map = graph.add(
      'Relu',
      [graph.add('Conv', [graph.input('input', 'float32', ['N', 1, 4, 4]), kernel(graph, 2, 1, 3)])],
      {},
      'map',
    );
    addHead(graph, map, 2);
  });
  const x = image(1, 1, 4, 4);
  const ids: string[] = [];
  const run: RunGraph = (packed: PackedModel, feeds) => {
    ids.push(packed.id);
    return runGraph(packed, feeds);
  };
  const differentiator = createDifferentiator(await bindNetwork(model, x), run);
  for (const target of [0, 1, 2]) {
    await differentiator.gradient(x.data, seedOf([target], 3));
    await differentiator.gradient(x.data, seedOf([target], 3), 'guided');
    await differentiator.layerGradient('map', x.data, seedOf([target], 3));
  }
  expect(new Set(ids).size).toBe(3);
});

test('a way round the layer stays open when what follows it is cut off', async () => {
  const model = compose((graph) => {
    const input = graph.input('input', 'float32', ['N', 2, 4, 4]);
    const map = graph.add('Conv', [input, kernel(graph, 2, 2, 1)], {}, 'map');
    addHead(graph, graph.add('Add', [map, input]), 2);
  });
  const x = image(1, 2, 4, 4);
  const network = await bindNetwork(model, x);
  const differentiator = createDifferentiator(network, runGraph);
  const head = cutHead(network, 'map');
  const activations = await differentiator.activations('map', x.data);
  const { logits } = await runGraph(packModel(head.model), head.feeds(activations, x));
  expectClose(logits!.data, await differentiator.scores(x.data), { atol: 1e-6, rtol: 1e-5 });
  const moved = { ...activations, data: activations.data.map((value) => value + 1) };
  const { logits: other } = await runGraph(packModel(head.model), head.feeds(moved, x));
  expect(other!.data[0]).not.toBeCloseTo(logits!.data[0]!, 3);
});

test('a network that computes in float16 is explained in float32', async () => {
  const model = compose((graph) => {
    const half = graph.add('Cast', [graph.input('input', 'float32', ['N', 4])], { to: elementTypes.float16 });
    const squares = graph.add('Mul', [half, half]);
    const weights = graph.add(
      'Cast',
      [
        graph.constant(
          float32(8, (i) => i),
          [4, 2],
        ),
      ],
      { to: elementTypes.float16 },
    );
    graph.output('logits', graph.add('MatMul', [squares, weights]), 'float16');
  });
  const x = { data: Float32Array.of(1, 2, 3, 4), dims: [1, 4] };
  const differentiator = createDifferentiator(await bindNetwork(model, x), runGraph);
  expectClose(await differentiator.scores(x.data), [0 + 8 + 36 + 96, 1 + 12 + 45 + 112]);
  expectClose(await differentiator.gradient(x.data, seedOf([1], 2)), [2, 12, 30, 56]);
});

import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { resizeBilinear } from '../../../src/shared/kernels/resize.js';
import { bankLayers, type NetworkKind, patchVectorLength, readNetwork } from '../../../src/shared/networks.js';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { type GraphProto, readModel, writeModel } from '../../../src/shared/onnx/model.js';
import { createSession } from '../../../src/shared/onnx/session.js';
import { nearestRow } from '../../../src/shared/patchcore/nearest-row.js';
import { gridOf } from '../../../src/shared/patchcore/patch-vectors.js';
import {
  addResidualDistances,
  type ResidualModel,
  subspaceLayers,
  subspaceVectorLength,
} from '../../../src/shared/patchcore/residual-graph.js';
import {
  composePatchGraph,
  composeProjectionGraph,
  composeScoreGraph,
} from '../../../src/shared/patchcore/score-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

// H, W: model input; h, w: the stride-16 grid; P patches, C channels of a raw vector, d dimensions, M bank rows.
const input = { height: 96, width: 64 };
const [H, W] = [input.height, input.width];
const { height: h, width: w } = gridOf(input);
const P = h * w;
const C = patchVectorLength;
const d = 12;
const form = { layers: bankLayers, neighbourhood: 'inside' } as const;

const random = createRandom(5);
const normals = (count: number, scale = 1) => float32(count, () => random.normal() * scale);
const projection = { matrix: normals(C * d, 0.02), bias: normals(d) };
const pixels = Uint8Array.from({ length: H * W * 3 }, () => random.integer(256));

type Outputs = Record<string, Float32Array>;
async function run(session: InferenceSession, feeds: Record<string, Tensor>): Promise<Outputs> {
  const results = await session.run(feeds);
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}
const runOnPixels = (session: InferenceSession, values = pixels) =>
  run(session, { pixels: new Tensor('uint8', values, [H, W, 3]) });

const networkOf = async (kind: NetworkKind): Promise<GraphProto> => readModel(await readNetwork(kind)).graph;

/** A second term of 4 dimensions and 2 components. */
const residual: ResidualModel = {
  matrix: normals(subspaceVectorLength * 4, 0.02),
  offset: normals(P * 4),
  components: Int8Array.from({ length: 2 * P * 4 }, () => random.integer(127) - 63),
  scales: Float32Array.of(0.001, 0.002),
  shrinkage: Float32Array.of(0.9, 0.4),
  means: normals(P * 4),
  whitening: normals(P * 16),
};

/** y (P, d) in float64 from raw vectors. */
function project(raw: Float32Array): Float64Array {
  const y = new Float64Array(P * d);
  for (let p = 0; p < P; p++) {
    for (let k = 0; k < d; k++) {
      let sum = projection.bias[k]!;
      for (let c = 0; c < C; c++) sum += raw[p * C + c]! * projection.matrix[c * d + k]!;
      y[p * d + k] = sum;
    }
  }
  return y;
}

/** √ min_j |y - m_j|² / r_j, as it is defined. */
function spacedDistances(y: Float64Array | Float32Array, rows: Float32Array, spacing: Float32Array): Float64Array {
  return Float64Array.from({ length: y.length / d }, (_, p) => {
    let least = Number.POSITIVE_INFINITY;
    for (let row = 0; row < spacing.length; row++) {
      let square = 0;
      for (let k = 0; k < d; k++) square += (y[p * d + k]! - rows[row * d + k]!) ** 2;
      least = Math.min(least, square / spacing[row]!);
    }
    return Math.sqrt(least);
  });
}

describe.each(['int8', 'float'] as const)('with the %s network', (kind) => {
  let network: GraphProto;
  beforeAll(async () => {
    network = await networkOf(kind);
  });

  // 4,500 rows are searched in three blocks of unequal size
  test.each([1, 7, 4500])('distances to %i rows are those of a float64 search over the raw vectors', async (M) => {
    const bank = { rows: normals(M * d), spacing: float32(M, () => 0.5 + random.uniform()), dims: d };
    const session = await createSession(writeModel(composeScoreGraph(network, input, { ...form, projection, bank })));
    const { raw, projected, distances } = await runOnPixels(session);
    const y = project(raw!);
    expectClose(projected!, y, { atol: 1e-4 }, 'projected');
    expectClose(distances!, spacedDistances(y, bank.rows, bank.spacing), { atol: 1e-4 }, 'distances');
  });

  test('a patch whose vector is in the bank has distance 0, every other patch has not', async () => {
    const patchSession = await createSession(writeModel(composePatchGraph(network, input, form)));
    const { raw } = await runOnPixels(patchSession);
    const [inside, outside] = [7, 8];
    const rows = Float32Array.from(project(raw!).subarray(inside * d, (inside + 1) * d));
    const bank = { rows, spacing: Float32Array.of(1), dims: d };
    const graph = composeScoreGraph(network, input, { ...form, projection, bank });
    const { distances } = await runOnPixels(await createSession(writeModel(graph)));
    expect(distances![inside]).toBeLessThan(5e-3); // |y|² - 2ym + |m|² leaves the rounding of |y|², about 10
    expect(distances![outside]).toBeGreaterThan(0.05);
  });

  test('a patch whose vector is in a bank of many has distance exactly 0 from it where it is shown', async () => {
    const spare = { rows: normals(d), spacing: Float32Array.of(1), dims: d };
    const { projected } = await runOnPixels(
      await createSession(
        writeModel(composeScoreGraph(network, input, { neighbourhood: 'inside', projection, bank: spare })),
      ),
    );
    const [M, first] = [2500, 2100];
    const bank = { rows: normals(M * d, 3), spacing: float32(M, () => 0.5 + random.uniform()), dims: d };
    bank.rows.set(projected!, first * d);
    const again = await runOnPixels(
      await createSession(writeModel(composeScoreGraph(network, input, { neighbourhood: 'inside', projection, bank }))),
    );
    const shown = Array.from({ length: P }, (_, p) => nearestRow(again.projected!.subarray(p * d, (p + 1) * d), bank));
    expectClose(
      shown.map(({ distance }) => distance),
      new Float64Array(P),
    );
    expectClose(
      shown.map(({ row }) => row),
      float32(P, (p) => first + p),
    );
    expectClose(again.distances!, new Float32Array(P), { atol: 0.01 }, 'of the graph');
  });

  test('a second term leaves the first as it is, and measures all layers joined', async () => {
    const bank = { rows: normals(7 * d), spacing: new Float32Array(7).fill(1), dims: d };
    const model = { ...form, projection, bank };
    const plain = await runOnPixels(await createSession(writeModel(composeScoreGraph(network, input, model))));
    const graph = composeScoreGraph(network, input, { ...model, residual });
    const { residualDistances, ...others } = await runOnPixels(await createSession(writeModel(graph)));
    for (const [name, values] of Object.entries(plain)) expectClose(others[name]!, values, { atol: 1e-5 }, name);

    const allLayers = composePatchGraph(network, input, { ...form, layers: subspaceLayers });
    const { raw } = await runOnPixels(await createSession(writeModel(allLayers)));
    expectClose(
      raw!.filter((_, i) => i % subspaceVectorLength < C),
      plain.raw!,
      { atol: 1e-5 },
      'leading layers',
    );
    const alone = createGraphBuilder();
    const joined = alone.input('joined', 'float32', [P, subspaceVectorLength]);
    alone.output('expected', addResidualDistances(alone, joined, P, residual));
    const feeds = { joined: new Tensor('float32', raw!, [P, subspaceVectorLength]) };
    const { expected } = await run(await createSession(writeModel(alone.build())), feeds);
    expectClose(residualDistances!, expected!, { rtol: 1e-3 });
  });

  test('training images are projected as scored ones are', async () => {
    const bank = { rows: normals(d), spacing: Float32Array.of(1), dims: d };
    const scoreGraph = composeScoreGraph(network, input, { ...form, projection, bank, residual });
    const scored = await runOnPixels(await createSession(writeModel(scoreGraph)));
    const second = { matrix: residual.matrix, bias: normals(4) };
    const graph = composeProjectionGraph(network, input, 'inside', projection, second);
    const { projected, subspaceVectors } = await runOnPixels(await createSession(writeModel(graph)));
    expectClose(projected!, scored.projected!, {}, 'projected');
    expect(subspaceVectors).toHaveLength(4 * P);
  });

  test('sums and products over the patches are those of the raw vectors', async () => {
    const { raw, sums, products } = await runOnPixels(
      await createSession(writeModel(composePatchGraph(network, input, form))),
    );
    const [expectedSums, expectedProducts] = [new Float64Array(C), new Float64Array(C * C)];
    for (let p = 0; p < P; p++) {
      for (let i = 0; i < C; i++) {
        expectedSums[i]! += raw![p * C + i]!;
        for (let j = 0; j < C; j++) expectedProducts[i * C + j]! += raw![p * C + i]! * raw![p * C + j]!;
      }
    }
    expectClose(sums!, expectedSums, { atol: 1e-3 }, 'sums');
    expectClose(products!, expectedProducts, { atol: 1e-2 }, 'products');
  });
});

/** clip((x - mean) / (std + 0.02) · 0.2 + 0.45, -0.5, 1.5) as planes (3, H, W). */
function standardise(values: Uint8Array): Float32Array {
  const x = Float64Array.from(values, (value) => value / 255);
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const std = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length);
  return float32(x.length, (i) => {
    const [channel, pixel] = [Math.floor(i / (H * W)), i % (H * W)];
    return Math.min(Math.max(((x[pixel * 3 + channel]! - mean) / (std + 0.02)) * 0.2 + 0.45, -0.5), 1.5);
  });
}

/** 3 × 3 mean of one plane, at the border over what is inside. */
function neighbourhoodMean(plane: Float32Array, height: number, width: number): Float32Array {
  return float32(height * width, (i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    let [sum, count] = [0, 0];
    for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++) {
      for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
        sum += plane[v * width + u]!;
        count++;
      }
    }
    return sum / count;
  });
}

test('raw vectors are the averaged levels of the standardised image, joined on the stride-16 grid', async () => {
  const network = await createSession(await readNetwork('float'));
  // Dark, with a bright corner: mean and deviation matter, and the clip does.
  const dark = pixels.map((value, i) => (i < 90 ? 255 : value >> 4));
  const levels = await run(network, { image: new Tensor('float32', standardise(dark), [1, 3, H, W]) });
  const planeOf = (level: string, channel: number, size: number) =>
    levels[level]!.subarray(channel * size, (channel + 1) * size);
  const planes = Array.from({ length: C }, (_, c) => {
    if (c < 120) return neighbourhoodMean(planeOf('stride16', c, P), h, w);
    return resizeBilinear(neighbourhoodMean(planeOf('stride32', c - 120, P / 4), h / 2, w / 2), h / 2, w / 2, h, w);
  });
  const session = await createSession(writeModel(composePatchGraph(await networkOf('float'), input, form)));
  const { raw } = await runOnPixels(session, dark);
  const expected = float32(P * C, (i) => planes[i % C]![Math.floor(i / C)]!);
  expectClose(raw!, expected, { atol: 2e-4 }, 'raw');
});

test('an image of one colour has finite vectors', async () => {
  const session = await createSession(writeModel(composePatchGraph(await networkOf('int8'), input, form)));
  const { raw } = await runOnPixels(session, new Uint8Array(H * W * 3).fill(77));
  expect(raw!.every(Number.isFinite)).toBe(true);
});

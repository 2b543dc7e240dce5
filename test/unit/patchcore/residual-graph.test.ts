import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { quantiseRows } from '../../../src/shared/kernels/quantise-rows.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../../src/shared/onnx/model.js';
import { createSession } from '../../../src/shared/onnx/session.js';
import {
  addResidualDistances,
  type ResidualModel,
  subspaceVectorLength,
} from '../../../src/shared/patchcore/residual-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

// P patches, C channels, d dimensions, K = P·d, r components.
const [P, C, d, r] = [12, subspaceVectorLength, 10, 4];
const K = P * d;
const random = createRandom(97);
const normals = (count: number, scale = 1) => float32(count, () => scale * random.normal());
const directions = normals(r * K, 1 / Math.sqrt(K));
const { steps, scales } = quantiseRows(directions, K);
const model: ResidualModel = {
  matrix: normals(C * d, 0.05),
  offset: normals(K),
  components: steps,
  scales,
  shrinkage: float32(r, () => 0.2 + 0.8 * random.uniform()),
  means: normals(K, 0.1),
  whitening: normals(P * d * d, 0.3),
};
const joined = normals(P * C);

async function run(changed: Partial<ResidualModel> = {}): Promise<Float32Array> {
  const graph = createGraphBuilder();
  const input = graph.input('joined', 'float32', [P, C]);
  graph.output('distances', addResidualDistances(graph, input, P, { ...model, ...changed }));
  const session = await createSession(writeModel(graph.build()));
  return (await session.run({ joined: new Tensor('float32', joined, [P, C]) })).distances!.data as Float32Array;
}

/** Q as it is defined, in float64, with the exact directions. */
function plainDistances({ shrinkage = model.shrinkage, means = model.means } = {}): Float64Array {
  const v = Float64Array.from(model.offset, (offset, k) => {
    const [p, dim] = [Math.floor(k / d), k % d];
    let sum = offset;
    for (let c = 0; c < C; c++) sum += joined[p * C + c]! * model.matrix[c * d + dim]!;
    return sum;
  });
  const residual = Float64Array.from(v, (value, k) => value - means[k]!);
  for (let i = 0; i < r; i++) {
    let amount = 0;
    for (let k = 0; k < K; k++) amount += directions[i * K + k]! * v[k]!;
    for (let k = 0; k < K; k++) residual[k]! -= shrinkage[i]! * amount * directions[i * K + k]!;
  }
  return Float64Array.from({ length: P }, (_, p) => {
    let square = 0;
    for (let j = 0; j < d; j++) {
      let sum = 0;
      for (let i = 0; i < d; i++) sum += residual[p * d + i]! * model.whitening[(p * d + i) * d + j]!;
      square += sum ** 2;
    }
    return Math.sqrt(square);
  });
}

test('distances are those of the definition, within the steps of the integers', async () => {
  expectClose(await run(), plainDistances(), { rtol: 0.01 });
});

test('nothing is taken away where the shrinkage is 0: no integer is in the way', async () => {
  const shrinkage = new Float32Array(r);
  const distances = await run({ shrinkage });
  expectClose(distances, plainDistances({ shrinkage }), { rtol: 1e-4 });
  expect(Math.max(...distances.map((value, p) => Math.abs(value / plainDistances()[p]! - 1)))).toBeGreaterThan(0.05);
});

test('a subspace of no directions at all leaves finite distances', async () => {
  const nothing = { components: new Int8Array(K), scales: new Float32Array(1), shrinkage: new Float32Array(1) };
  expectClose(await run(nothing), plainDistances({ shrinkage: new Float32Array(r) }), { rtol: 1e-4 });
});

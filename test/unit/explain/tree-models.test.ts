import { describe, expect, test } from 'vitest';
import { attribute } from '../../../src/explain/shap/attribute.js';
import { openTabularModel } from '../../../src/explain/shap/tabular-model.js';
import { findTrees } from '../../../src/explain/shap/tree-attribution.js';
import { type Compute, createCompute } from '../../../src/shared/compute.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import type { ModelProto } from '../../../src/shared/onnx/model.js';
import { expectClose } from '../../helpers/arrays.js';
import {
  gridRows,
  type Leaf,
  listedModel,
  type Mode,
  numberedModel,
  randomTree,
  type Tree,
} from '../../helpers/trees.js';

const comparisons: Mode[] = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ'];
const D = 4;

/** Values of `tree`, which onnxruntime's scores were held against, and those of all coalitions as onnxruntime scores them. */
async function bothWays(proto: ModelProto, missing: boolean) {
  const random = createRandom(11);
  const [rows, background] = [gridRows(random, 12, D), gridRows(random, 6, D)];
  if (missing) for (let i = 0; i < rows.length; i += 3) rows[i] = Number.NaN;
  const model = openTabularModel(proto, [D]);
  const tree = await attribute(model, 'tree', { rows, background });
  return { tree, exact: await attribute(model, 'exact', { rows, background }) };
}

describe.each([
  { operator: 'TreeEnsembleRegressor', write: listedModel },
  { operator: 'TreeEnsemble', write: numberedModel },
])('$operator', ({ write }) => {
  test.each([...comparisons.map((mode) => ({ modes: [mode] })), { modes: comparisons }])(
    'splits by $modes',
    async ({ modes }) => {
      const random = createRandom(12);
      for (const missing of [false, true]) {
        const trees = Array.from({ length: 5 }, () => randomTree(random, { D, depth: 5, modes, missing }));
        const { tree, exact } = await bothWays(write(trees, { D }), missing);
        expectClose(tree.values, exact.values, { atol: 2e-6 }, `missing values ${missing}`);
        expectClose(tree.expected, exact.expected, { atol: 2e-6 });
        expect(tree.values.some((value) => Math.abs(value) > 0.1)).toBe(true);
      }
    },
  );

  test('means of trees, one of them a single leaf', async () => {
    const random = createRandom(13);
    const trees: Tree[] = [{ weights: [5] }, ...Array.from({ length: 4 }, () => randomTree(random, { D, depth: 4 }))];
    const { tree, exact } = await bothWays(write(trees, { D, aggregate: 'AVERAGE' }), false);
    expectClose(tree.values, exact.values, { atol: 2e-6 });
    expectClose(tree.expected, exact.expected, { atol: 2e-6 });
  });

  test.each(['MIN', 'MAX'] as const)('the %s of trees is refused', (aggregate) => {
    const trees = [0, 1].map((seed) => randomTree(createRandom(seed), { D, depth: 2 }));
    const model = openTabularModel(write(trees, { D, aggregate }), [D]);
    expect(() => findTrees(model)).toThrowError(
      expect.objectContaining({ code: 'OP_NOT_SUPPORTED', message: expect.stringContaining(`takes the ${aggregate}`) }),
    );
  });

  test('set membership is refused', () => {
    const trees = [randomTree(createRandom(1), { D, depth: 2, modes: ['BRANCH_MEMBER'] })];
    const model = openTabularModel(write(trees, { D }), [D]);
    expect(() => findTrees(model)).toThrowError(
      expect.objectContaining({ code: 'OP_NOT_SUPPORTED', message: expect.stringContaining('BRANCH_MEMBER') }),
    );
  });
});

/** A tree whose leaves hold shares or margins. */
function withWeights(tree: Tree, weights: (leaf: Leaf) => number[]): Tree {
  if ('weights' in tree) return { weights: weights(tree) };
  const [whenTrue, whenFalse] = tree.children;
  return { ...tree, children: [withWeights(whenTrue, weights), withWeights(whenFalse, weights)] };
}

describe('classifiers', () => {
  const random = createRandom(14);
  const grown = Array.from({ length: 6 }, () => randomTree(random, { D, depth: 4, K: 3 }));
  const one = (map: (value: number) => number) =>
    grown.map((tree) => withWeights(tree, ({ weights }) => [map(weights[0]!)]));

  test('shares of two classes, of which one is stored, are two outputs', async () => {
    const share = (value: number) => 1 / (1 + Math.exp(-value)) / 6;
    const { tree, exact } = await bothWays(listedModel(one(share), { D, classes: 2 }), false);
    expect(tree).toMatchObject({ K: 2, scale: 'output' });
    expectClose(tree.values, exact.values, { atol: 1e-6 });
    expectClose(tree.predictions, exact.predictions, { atol: 1e-6 });
  });

  test('the margin of two classes is one output, its probability two', async () => {
    const model = openTabularModel(
      listedModel(
        one((value) => value),
        { D, classes: 2, postTransform: 'LOGISTIC', baseValues: [0.2] },
      ),
      [D],
    );
    const [rows, background] = [gridRows(random, 5, D), gridRows(random, 3, D)];
    const margin = await attribute(model, 'auto', { rows, background });
    expect(margin).toMatchObject({ method: 'tree', K: 1, scale: 'margin' });
    const probability = await attribute(model, 'auto', { rows, background, scale: 'probability' });
    expect(probability).toMatchObject({ method: 'tree', K: 2, scale: 'probability' });
    const exact = await attribute(model, 'exact', { rows, background, scale: 'probability' });
    expectClose(probability.predictions, exact.predictions, { atol: 1e-6 });
    expectClose(probability.expected, exact.expected, { atol: 1e-6 });
    const positive = margin.predictions.map((value) => 1 / (1 + Math.exp(-value)));
    expectClose(
      probability.predictions.filter((_, i) => i % 2 === 1),
      positive,
      { atol: 1e-12 },
    );
    const second = await attribute(model, 'auto', { rows, background, scale: 'probability', target: 1 });
    expectClose(
      second.values,
      probability.values.filter((_, i) => i % 2 === 1),
    );
    await expect(attribute(model, 'exact', { rows, background, scale: 'margin' })).rejects.toThrow(/tree and linear/);
  });

  test('the rescaled probability against one background row is the margin times its quotient', async () => {
    const model = openTabularModel(
      listedModel(
        one((value) => value),
        { D, classes: 2, postTransform: 'LOGISTIC' },
      ),
      [D],
    );
    const [rows, background] = [gridRows(random, 1, D), gridRows(random, 1, D)];
    const margin = await attribute(model, 'tree', { rows, background });
    const probability = await attribute(model, 'tree', { rows, background, scale: 'probability', target: 1 });
    const quotient =
      (probability.predictions[0]! - probability.expected[0]!) / (margin.predictions[0]! - margin.expected[0]!);
    expectClose(
      probability.values,
      margin.values.map((value) => value * quotient),
      { atol: 1e-12 },
    );
  });

  test('three classes have three margins; their softmax is left to exact and kernel', async () => {
    const model = openTabularModel(
      listedModel(grown, { D, classes: 3, postTransform: 'SOFTMAX', baseValues: [0.1, 0.2, 0.3] }),
      [D],
    );
    const question = { rows: gridRows(random, 5, D), background: gridRows(random, 3, D) };
    expect(await attribute(model, 'auto', question)).toMatchObject({ method: 'tree', K: 3, scale: 'margin' });
    const refused = attribute(model, 'tree', { ...question, scale: 'probability' });
    await expect(refused).rejects.toMatchObject({
      code: 'OP_NOT_SUPPORTED',
      message: expect.stringContaining('exact'),
    });
    expect(await attribute(model, 'exact', { ...question, scale: 'probability' })).toMatchObject({ K: 3 });
  });

  test('labels and outputs that there are not cannot be explained', async () => {
    const proto = listedModel(grown, { D, classes: 3 });
    const question = { rows: gridRows(random, 1, D), background: gridRows(random, 1, D) };
    const named = (name: string) => () => openTabularModel(proto, [D], name);
    expect(named('label')).toThrowError(/outputs of the model are label, scores/);
    expect(named('bogus')).toThrowError(/received bogus/);
    await expect(attribute(openTabularModel(proto, [D]), 'auto', { ...question, target: 3 })).rejects.toThrow(
      /from 0 to 2 for --target/,
    );
  });

  test('what onnxruntime makes otherwise of a model is not explained wrongly', async () => {
    // Of two base values and one stored class onnxruntime takes the second, and leaves out the complement.
    const model = openTabularModel(
      listedModel(
        one((value) => value),
        { D, classes: 2, baseValues: [0.5, 0.25] },
      ),
      [D],
    );
    const question = { rows: gridRows(random, 3, D), background: gridRows(random, 3, D) };
    await expect(attribute(model, 'tree', question)).rejects.toMatchObject({ code: 'EXPLANATION_INCONSISTENT' });
  });
});

describe('node covers', () => {
  const trees: Tree[] = [
    {
      feature: 0,
      mode: 'BRANCH_LEQ',
      threshold: 0,
      missingIsTrue: false,
      children: [{ weights: [1] }, { weights: [3] }],
    },
  ];
  const model = openTabularModel(listedModel(trees, { D }), [D]);
  const rows = new Float64Array(D);

  test('weigh what is not known', async () => {
    const { values, expected } = await attribute(model, 'auto', { rows, nodeCover: [4, 3, 1] });
    expect([...values]).toEqual([-0.5, 0, 0, 0]);
    expect([...expected]).toEqual([1.5]);
  });

  test.each([
    [{ nodeCover: [4, 3] }, 'SHAPE_MISMATCH', 'of the 3 nodes'],
    [{ nodeCover: [4, 5, 1] }, 'ARGUMENT_INVALID', 'none above that of the parent'],
    [{ nodeCover: [4, Number.NaN, 1] }, 'ARGUMENT_INVALID', 'training weights'],
    [{ nodeCover: [4, -1, 1] }, 'ARGUMENT_INVALID', 'received -1 for node 1'],
    [{ nodeCover: [4, 3, 1], background: rows }, 'ARGUMENT_INVALID', 'received both'],
    [{}, 'ARGUMENT_INVALID', 'received neither'],
    [{ nodeCover: [4, 3, 1], scale: 'probability' as const }, 'ARGUMENT_INVALID', '--background'],
    [{ background: rows, scale: 'probability' as const }, 'OP_NOT_SUPPORTED', 'gives no probabilities'],
  ])('%o is %s', async (given, code, message) => {
    await expect(attribute(model, 'tree', { rows, ...given })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});

test('damaged trees are named', () => {
  const trees = [randomTree(createRandom(3), { D, depth: 3 })];
  const damage = (change: (values: number[]) => void, name: string) => {
    const proto = listedModel(trees, { D });
    change(proto.graph.node[0]!.attribute.find((attribute) => attribute.name === name)!.ints!);
    return () => findTrees(openTabularModel(proto, [D]));
  };
  const damaged = (fault: string) =>
    expect.objectContaining({ code: 'MODEL_DAMAGED', message: expect.stringContaining(fault) });
  expect(damage((ids) => (ids[0] = 99), 'nodes_truenodeids')).toThrowError(damaged('missing'));
  expect(damage((ids) => (ids[0] = 2), 'nodes_truenodeids')).toThrowError(damaged('two parents'));
  expect(damage((ids) => (ids[0] = 0), 'target_nodeids')).toThrowError(damaged('a leaf has a weight'));
  expect(damage((ids) => (ids[0] = 7), 'nodes_featureids')).toThrowError(/at least 8 features/);
});

test.each(['tree', 'exact', 'kernel'] as const)('threads give what one gives: %s', async (method) => {
  const random = createRandom(15);
  const model = openTabularModel(listedModel([randomTree(random, { D, depth: 3, K: 2 })], { D, K: 2 }), [D]);
  const question = { rows: gridRows(random, method === 'tree' ? 2100 : 70, D), background: gridRows(random, 3, D) };
  const alone = await attribute(model, method, question);
  let compute: Compute | undefined;
  let done = 0;
  const openCompute = () => {
    compute = createCompute({ threads: 2 });
    return compute;
  };
  const onRows = (count: number) => {
    done += count;
  };
  try {
    const shared = await attribute(model, method, { ...question, onRows }, openCompute);
    expect(compute).toBeDefined();
    expect(done).toBe(question.rows.length / D);
    for (const name of ['values', 'expected', 'predictions'] as const) expectClose(shared[name], alone[name], {}, name);
  } finally {
    await compute?.close();
  }
});

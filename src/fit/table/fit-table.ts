import { createRowRunner, openTabularModel } from '../../explain/shap/tabular-model.js';
import { type Compute, threadTask } from '../../shared/compute.js';
import { type ModelProto, writeModel } from '../../shared/onnx/model.js';
import { type Card, makeCard } from './card.js';
import { rankDrivers, sampleRows } from './drivers.js';
import { dealFolds, filterRows } from './folds.js';
import { growForest } from './forest.js';
import { composeForest, nodeCoverOf } from './forest-graph.js';
import { judgeHeldOut } from './held-out.js';
import type { MlpTraining } from './mlp.js';
import { composeMlp, type Mlp } from './mlp-graph.js';
import type { TrainingTable } from './training-table.js';

// n rows, m background rows, D columns, K outputs.

export type Learner = { model: 'forest'; trees: number } | { model: 'mlp'; hidden: readonly number[] };

export interface FitTableOptions {
  learner: Learner;
  seed: number;
  compute: Compute;
  report: (state: { phase: string; done: number; total: number }) => void;
}

export interface FittedTable {
  /** An ONNX file. */
  model: Uint8Array;
  /** (m, D): some of the rows, to compare others with. */
  background: Float64Array<ArrayBuffer>;
  /** Training rows of each tree node. */
  nodeCover?: Float64Array<ArrayBuffer>;
  card: Card;
}

/** What a learner makes of a table. */
interface Learned {
  proto: ModelProto;
  nodeCover?: Float64Array<ArrayBuffer>;
  /** (n, K), by models that had not seen the row. */
  heldOut: Float64Array;
  how: string;
}

const backgroundRows = 100;
const folds = 5;

/** Learns the target of a table from its columns, and says what that is worth and which columns drive it. Seeded throughout. */
export async function fitTable(table: TrainingTable, options: FitTableOptions): Promise<FittedTable> {
  const { learner, seed } = options;
  const D = table.columns.length;
  const { proto, nodeCover, heldOut, how } =
    learner.model === 'forest'
      ? await learnForest(table, learner.trees, options)
      : await learnMlp(table, learner.hidden, options);
  const background = sampleRows(table.rows, D, backgroundRows, seed);
  const drivers = await rankDrivers(learner.model, proto, table, background, options);
  const card = makeCard(table, { learner, seed, heldOut: judgeHeldOut(table.target, heldOut, how, seed), drivers });
  return { model: writeModel(proto), background, ...(nodeCover && { nodeCover }), card };
}

async function learnForest(table: TrainingTable, trees: number, { seed, compute, report }: FitTableOptions) {
  let done = 0;
  const onTree = () => report({ phase: 'growing trees', done: ++done, total: trees });
  const forest = await growForest(table, { trees, seed, compute, onTree });
  const learned: Learned = {
    proto: composeForest(forest, table),
    nodeCover: nodeCoverOf(forest),
    heldOut: forest.outOfBag,
    how: 'each row by the trees that were grown without it',
  };
  return learned;
}

const mlpTask = threadTask<MlpTraining, Mlp>(new URL('./mlp-thread.js', import.meta.url));

/** The last fold is that of no row: its model is trained on all. */
async function learnMlp(
  table: TrainingTable,
  hidden: readonly number[],
  { seed, compute, report }: FitTableOptions,
): Promise<Learned> {
  const { columns, rows, target } = table;
  const [D, K] = [columns.length, target.classes?.length ?? 1];
  const foldOf = dealFolds(target, folds, seed);
  let done = 0;
  const train = async (fold: number) => {
    const isTrained = (row: number) => foldOf[row] !== fold;
    const mlp = await compute.run(mlpTask, {
      rows: filterRows(rows, D, isTrained),
      targets: filterRows(target.values, 1, isTrained),
      ...(target.classes && { classes: K }),
      hidden,
      seed,
    });
    report({ phase: 'training', done: ++done, total: folds + 1 });
    return composeMlp(mlp, table);
  };
  const models = await Promise.all(Array.from({ length: folds + 1 }, (_, fold) => train(fold)));
  const heldOut = new Float64Array(target.values.length * K);
  for (const [fold, proto] of models.slice(0, folds).entries()) {
    const own = [...foldOf.keys()].filter((row) => foldOf[row] === fold);
    const predictions = await predict(
      proto,
      filterRows(rows, D, (row) => foldOf[row] === fold),
      D,
    );
    for (const [place, row] of own.entries()) heldOut.set(predictions.subarray(place * K, (place + 1) * K), row * K);
  }
  return { proto: models[folds]!, heldOut, how: `${folds}-fold cross-validation` };
}

/** What a model says of rows (n, D): (n, K). */
async function predict(proto: ModelProto, rows: Float64Array, D: number): Promise<Float64Array> {
  const { inputs, output } = openTabularModel(proto, [D]);
  const runner = await createRowRunner(proto, inputs);
  const results = await runner.run(rows);
  await runner.close();
  return results[output]!;
}

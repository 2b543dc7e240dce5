import { PatchlineError } from '../errors.js';
import { auroc } from './auroc.js';
import { fitLogisticRegression, type LogisticRegressionOptions, logOdds } from './logistic-regression.js';
import { createRandom } from './random.js';
import { rowCount } from './shape.js';

// Rows are (n, D); a fold is the set of rows that one model is not fitted to.

/**
 * The fold of each row: rows of one group share a fold, and every fold gets its share of each class as far as groups allow.
 *
 * @param labels (n), 0 for good, anything else for defect
 * @param groups (n), say the image that a row was made from; by default each row is its own
 * @returns (n), 0 .. folds - 1
 */
export function stratifiedFolds(
  labels: ArrayLike<number>,
  folds: number,
  seed: number,
  groups: ArrayLike<number> = Int32Array.from({ length: labels.length }, (_, i) => i),
): Int32Array<ArrayBuffer> {
  const members = new Map<number, number[]>();
  for (const i of createRandom(seed).permutation(labels.length)) {
    const group = members.get(groups[i]!);
    if (group === undefined) members.set(groups[i]!, [i]);
    else group.push(i);
  }
  // Groups with the same number of each class are dealt out in turn.
  const turns = new Map<string, number>();
  const foldOf = new Int32Array(labels.length);
  for (const rows of members.values()) {
    const defects = rows.filter((i) => labels[i] !== 0).length;
    const kind = `${rows.length - defects} ${defects}`;
    const turn = turns.get(kind) ?? turns.size; // so that rare kinds do not all begin in one fold
    turns.set(kind, turn + 1);
    for (const i of rows) foldOf[i] = turn % folds;
  }
  return foldOf;
}

/** Fits a model to rows (n, D) and labels (n); what it returns gives the log odds (m) of a defect of other rows (m, D). */
export type Learner = (rows: Float64Array, labels: ArrayLike<number>) => (others: Float64Array) => Float64Array;

export const logisticLearner =
  (options: LogisticRegressionOptions): Learner =>
  (rows, labels) => {
    const model = fitLogisticRegression(rows, labels, options);
    return (others) => logOdds(model, others);
  };

/**
 * The log odds of every row by a model that was fitted without the row's fold.
 *
 * @param rows (n, D) @param foldOf (n) @returns (n)
 * @throws SHAPE_MISMATCH
 * @throws TOO_FEW_IMAGES where all rows of a class lie in one fold
 * @throws FIT_NOT_CONVERGED
 */
export function heldOutLogOdds(
  rows: Float32Array | Float64Array,
  labels: ArrayLike<number>,
  foldOf: Int32Array,
  learn: Learner,
): Float64Array<ArrayBuffer> {
  const n = labels.length;
  const D = rowCount('rows', rows, n);
  const odds = new Float64Array(n);
  for (const fold of new Set(foldOf)) {
    const [inside, outside] = [true, false].map((wanted) =>
      Array.from(labels, (_, i) => i).filter((i) => (foldOf[i] === fold) === wanted),
    ) as [number[], number[]];
    const predict = learn(
      takeRows(rows, D, outside),
      outside.map((i) => labels[i]!),
    );
    const foldOdds = predict(takeRows(rows, D, inside));
    for (const [k, i] of inside.entries()) odds[i] = foldOdds[k]!;
  }
  return odds;
}

export interface CrossValidation {
  learn: Learner;
  folds: number;
  seed: number;
  /** See `stratifiedFolds`. */
  groups?: ArrayLike<number>;
}

/**
 * AUROC of held-out log odds: how well models tell rows apart that they have not seen.
 *
 * @param rows (n, D) @param labels (n), 0 for good, anything else for defect
 * @throws what `heldOutLogOdds` throws
 */
export function crossValidatedAuroc(
  rows: Float32Array | Float64Array,
  labels: ArrayLike<number>,
  { learn, folds, seed, groups }: CrossValidation,
): number {
  const foldOf = stratifiedFolds(labels, folds, seed, groups);
  const area = auroc(heldOutLogOdds(rows, labels, foldOf, learn), labels);
  if (area !== null) return area;
  throw new PatchlineError('TOO_FEW_IMAGES', 'Expected rows of both classes to validate a classifier');
}

function takeRows(rows: Float32Array | Float64Array, D: number, indices: number[]): Float64Array {
  const taken = new Float64Array(indices.length * D);
  for (const [k, i] of indices.entries()) taken.set(rows.subarray(i * D, (i + 1) * D), k * D);
  return taken;
}

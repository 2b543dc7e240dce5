import { failedSets, mostFeatures } from './failed-sets.js';
import { sharesOfCover } from './node-cover.js';
import type { PathDependentForm } from './path-dependent-form.js';
import { quadratureWalk } from './quadrature-walk.js';
import { columnsOf, copyColumns, sizeOfTree, type TreeEnsemble } from './tree-ensemble.js';

// n rows, R of them a block; D, K, N as in tree-ensemble.ts.

/**
 * Shapley values of sums of trees, path-dependent: where a feature is not known a row goes both ways, weighted by the training
 * weight that went there (Lundberg et al., arXiv:1802.03888).
 *
 * A leaf is a product game: v(S) = weight · Π_j (j in S ? [the row passes j] : r_j), r_j the share of the training weight that
 * passes the splits of feature j. Its multilinear extension (Owen 1972) has the terms f_j(t) = r_j + t ([passes] - r_j), so
 * φ_j = weight · ∫₀¹ f_j' / f_j · Π f dt. The integrand is a polynomial: few points of Gauss and Legendre are exact.
 *
 * @param rows (n, D) @param covers (N), training weight of each node @param onRows is told how many more rows are done
 * @param form by default the faster one
 * @returns (n, D, K)
 */
export function pathDependentTreeShap(
  trees: TreeEnsemble,
  covers: ArrayLike<number>,
  rows: Float64Array,
  onRows: (count: number) => void = () => {},
  form?: PathDependentForm,
): Float64Array<ArrayBuffer> {
  const { D, K } = trees;
  const n = rows.length / D;
  const sizes = Array.from(trees.roots, (root) => sizeOfTree(trees, root));
  const isShallow = sizes.every(({ features }) => features <= mostFeatures);
  const { blockRows, create } = form ?? (isShallow ? failedSets : quadratureWalk);
  const R = Math.min(n, blockRows);
  const addTree = create({ trees, shares: sharesOfCover(trees, covers), sizes, R });
  const values = new Float64Array(n * D * K);
  for (let first = 0; first < n; first += R) {
    const count = Math.min(R, n - first);
    const columns = columnsOf(rows.subarray(first * D, (first + count) * D), D, R);
    const block = { count, columns, values: new Float64Array(D * K * R) };
    for (const [tree, { depth }] of sizes.entries()) if (depth > 0) addTree(tree, block);
    copyColumns(block.values, R, values.subarray(first * D * K, (first + count) * D * K));
    onRows(count);
  }
  return values;
}

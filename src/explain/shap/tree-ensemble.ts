// N nodes of all trees, T trees, K sums (one for each target or class with leaf weights of its own), D features.

/**
 * Decision trees in flat arrays. Every comparison of ONNX is an interval here: a row goes to the true child where its value
 * lies in [lower, upper], both ends included, and a missing value (NaN) where `missingIsTrue` says so.
 */
export interface TreeEnsemble {
  D: number;
  K: number;
  /** (T), node indices. */
  roots: Int32Array;
  /** (N), -1 for a leaf. */
  features: Int32Array;
  lower: Float64Array;
  upper: Float64Array;
  missingIsTrue: Uint8Array;
  trueChildren: Int32Array;
  falseChildren: Int32Array;
  /** (N + 1): the weights of leaf n are the entries leafStarts[n] .. leafStarts[n + 1] of `leafSums` and `leafWeights`. */
  leafStarts: Int32Array;
  /** Which of the K sums an entry adds to. */
  leafSums: Int32Array;
  leafWeights: Float64Array;
  /** (K), added to the sums. */
  baseValues: Float64Array;
}

/** The child that a value goes to. */
export function childOf(trees: TreeEnsemble, node: number, value: number): number {
  const isTrue =
    (value >= trees.lower[node]! && value <= trees.upper[node]!) ||
    (trees.missingIsTrue[node] === 1 && Number.isNaN(value));
  return isTrue ? trees.trueChildren[node]! : trees.falseChildren[node]!;
}

/**
 * The sums of the leaves that each row reaches, base values included and before any post-transform.
 *
 * @param rows (n, D) @returns (n, K)
 */
export function sumLeaves(trees: TreeEnsemble, rows: Float64Array): Float64Array<ArrayBuffer> {
  const { D, K, roots, features, leafStarts, leafSums, leafWeights, baseValues } = trees;
  const sums = new Float64Array((rows.length / D) * K);
  for (let row = 0; row * D < rows.length; row++) {
    sums.set(baseValues, row * K);
    for (const root of roots) {
      let node = root;
      while (features[node]! >= 0) node = childOf(trees, node, rows[row * D + features[node]!]!);
      for (let e = leafStarts[node]!; e < leafStarts[node + 1]!; e++) {
        sums[row * K + leafSums[e]!]! += leafWeights[e]!;
      }
    }
  }
  return sums;
}

export interface TreeSize {
  /** Edges of the longest way from the root to a leaf. */
  depth: number;
  /** Most different features on such a way. */
  features: number;
}

/** What the buffers of a walk through a tree must hold. */
export function sizeOfTree({ D, features, trueChildren, falseChildren }: TreeEnsemble, root: number): TreeSize {
  const size = { depth: 0, features: 0 };
  const visits = new Int32Array(D);
  const visit = (node: number, depth: number, different: number): void => {
    const feature = features[node]!;
    if (feature < 0) {
      size.depth = Math.max(size.depth, depth);
      size.features = Math.max(size.features, different);
      return;
    }
    const more = visits[feature]!++ === 0 ? different + 1 : different;
    visit(trueChildren[node]!, depth + 1, more);
    visit(falseChildren[node]!, depth + 1, more);
    visits[feature]!--;
  };
  visit(root, 0, 0);
  return size;
}

/** The sums, of all K, that leaves of a tree add to. */
export function sumsOfTree(
  { features, trueChildren, falseChildren, leafStarts, leafSums }: TreeEnsemble,
  root: number,
): Int32Array {
  const found = new Set<number>();
  const waiting = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (features[node]! >= 0) waiting.push(trueChildren[node]!, falseChildren[node]!);
    else for (let e = leafStarts[node]!; e < leafStarts[node + 1]!; e++) found.add(leafSums[e]!);
  }
  return Int32Array.from(found).sort();
}

/** Rows (count, D) as columns (D, R), with room for R rows. */
export function columnsOf(rows: Float64Array, D: number, R: number): Float64Array {
  const columns = new Float64Array(D * R);
  for (let i = 0; i < rows.length; i++) columns[(i % D) * R + Math.floor(i / D)] = rows[i]!;
  return columns;
}

/** The inverse: columns (C, R) into rows (count, C). */
export function copyColumns(columns: Float64Array, R: number, rows: Float64Array): void {
  const C = columns.length / R;
  for (let i = 0; i < rows.length; i++) rows[i] = columns[(i % C) * R + Math.floor(i / C)]!;
}

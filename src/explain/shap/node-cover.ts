import { PatchlineError } from '../../shared/errors.js';
import type { TreeEnsemble } from './tree-ensemble.js';

// N nodes, K sums. Covers are (N): the weight of the training rows that reached each node.

/** @throws SHAPE_MISMATCH, ARGUMENT_INVALID where covers cannot be those of the trees */
export function assertCovers({ features, trueChildren, falseChildren }: TreeEnsemble, covers: ArrayLike<number>): void {
  const N = features.length;
  if (covers.length !== N) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected the training weights of the ${N} nodes of the trees for --node-cover but received ${covers.length}`,
    );
  }
  for (let node = 0; node < N; node++) {
    const own = covers[node]!;
    const children = features[node]! < 0 ? [] : [covers[trueChildren[node]!]!, covers[falseChildren[node]!]!];
    if (own >= 0 && Number.isFinite(own) && children.every((cover) => cover <= own * (1 + 1e-5))) continue;
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      'Expected training weights of at least 0, none above that of the parent node, for --node-cover but received ' +
        `${own} for node ${node}${children.length > 0 ? ` and ${children.join(' and ')} for its children` : ''}`,
    );
  }
}

/** How much of its parent's cover each node has: (N). A node that no training row reached sends one half each way. */
export function sharesOfCover(
  { features, trueChildren, falseChildren }: TreeEnsemble,
  covers: ArrayLike<number>,
): Float64Array {
  const shares = new Float64Array(features.length).fill(1);
  for (let node = 0; node < features.length; node++) {
    if (features[node]! < 0) continue;
    for (const child of [trueChildren[node]!, falseChildren[node]!]) {
      shares[child] = covers[node]! > 0 ? covers[child]! / covers[node]! : 0.5;
    }
  }
  return shares;
}

/** The sums of the trees where no feature is known: (K). */
export function expectedByCover(trees: TreeEnsemble, covers: ArrayLike<number>): Float64Array<ArrayBuffer> {
  const { features, trueChildren, falseChildren, leafStarts, leafSums, leafWeights } = trees;
  const shares = sharesOfCover(trees, covers);
  const expected = Float64Array.from(trees.baseValues);
  const visit = (node: number, share: number): void => {
    if (features[node]! < 0) {
      for (let e = leafStarts[node]!; e < leafStarts[node + 1]!; e++)
        expected[leafSums[e]!]! += share * leafWeights[e]!;
      return;
    }
    for (const child of [trueChildren[node]!, falseChildren[node]!]) visit(child, share * shares[child]!);
  };
  for (const root of trees.roots) visit(root, 1);
  return expected;
}

import type { TreeEnsemble, TreeSize } from './tree-ensemble.js';

// R rows of a block; D, K, N as in tree-ensemble.ts.

/** Rows that are explained in one go. */
export interface RowBlock {
  count: number;
  /** (D, R) */
  columns: Float64Array;
  /** (D, K, R), which values are added to. */
  values: Float64Array;
}

/** A way to work out path-dependent values. */
export interface PathDependentForm {
  blockRows: number;
  /** @param input shares (N): how much of its parent's training weight a node has */
  create(input: { trees: TreeEnsemble; shares: Float64Array; sizes: readonly TreeSize[]; R: number }): AddTree;
}

export type AddTree = (tree: number, block: RowBlock) => void;

/** Q points integrate polynomials of degree 2 Q - 1; that of a leaf has the degree of its features less one. */
export const pointsFor = (features: number): number => Math.max(1, Math.ceil(features / 2));

import { inThread } from '../../shared/compute.js';
import { type DecisionTree, growTree, type TreeRows } from './decision-tree.js';

export default inThread<TreeRows, DecisionTree>(
  async (rows) => growTree(rows),
  ({ features, thresholds, rightChildren, covers, values }) => [
    features.buffer,
    thresholds.buffer,
    rightChildren.buffer,
    covers.buffer,
    values.buffer,
  ],
);

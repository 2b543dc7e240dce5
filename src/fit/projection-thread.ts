import { inThread } from '../shared/compute.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import { fitProjection, type Moments, type WeightedLayer } from './projection.js';

export interface ProjectionInput {
  moments: Moments;
  weighted: readonly WeightedLayer[];
  dims: number | null;
}

export default inThread<ProjectionInput, Projection>(async ({ moments, weighted, dims }) =>
  fitProjection(moments, weighted, dims),
);

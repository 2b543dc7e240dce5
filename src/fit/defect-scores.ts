import { type Compute, threadTask } from '../shared/compute.js';
import type { InspectedPart } from '../shared/model-input.js';
import { type ImageScoring, imageScore, type PatchValues } from '../shared/patchcore/image-score.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import type { DefectFeatures } from './defect-images.js';
import type { ResidualDistancesInput } from './residual-distances-thread.js';
import type { SecondTerm } from './second-term.js';

const residualsTask = threadTask<ResidualDistancesInput, Float32Array[]>(
  new URL('./residual-distances-thread.js', import.meta.url),
);

/** What L labelled defects are scored by: the whole bank, which holds none of them, and the whole second term. P patches. */
export interface DefectScoring {
  /** (L, P) */
  distances: Float32Array;
  scoring: ImageScoring;
  part?: InspectedPart;
  /** For the score `fused`. */
  secondTerm?: SecondTerm;
  subspaceProjection?: Projection;
}

/** The scores (L) of labelled defects, as inspecting them would give them. */
export async function scoreDefects(
  { projected, subspaceVectors }: DefectFeatures,
  { distances, scoring, part, secondTerm, subspaceProjection }: DefectScoring,
  compute: Compute,
): Promise<number[]> {
  const patches = distances.length / projected.length;
  const residuals =
    secondTerm &&
    (await compute.run(residualsTask, {
      images: subspaceVectors,
      bias: subspaceProjection!.bias,
      model: secondTerm.model,
    }));
  return projected.map((vectors, image) => {
    const values: PatchValues = {
      distances: distances.subarray(image * patches, (image + 1) * patches),
      projected: vectors,
      residualDistances: residuals?.[image],
    };
    return imageScore(values, scoring, part?.patches);
  });
}

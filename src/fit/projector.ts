import { threadTask } from '../shared/compute.js';
import { type NetworkKind, readNetwork } from '../shared/networks.js';
import { readModel, writeModel } from '../shared/onnx/model.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { gridOf, type Neighbourhood } from '../shared/patchcore/patch-vectors.js';
import { composeProjectionGraph, type Projection } from '../shared/patchcore/score-graph.js';
import type { DefectImage, DefectInput, DefectVectors } from './defect-thread.js';
import { orderedMap } from './ordered-map.js';
import type { Extraction } from './patch-features.js';
import type { ProjectInput } from './project-thread.js';

const projectTask = threadTask<ProjectInput, void>(new URL('./project-thread.js', import.meta.url));
const defectTask = threadTask<DefectInput, DefectVectors>(new URL('./defect-thread.js', import.meta.url));

export interface Projections {
  neighbourhood: Neighbourhood;
  /** Of the memory bank. */
  projection: Projection;
  /** Of the subspace of good images, for the score `fused`. */
  subspaceProjection?: Projection;
}

/** Projected patch vectors of N images, in shared memory. P patches, d dimensions. */
export interface ProjectedImages {
  /** (N, P, d) */
  projected: Float32Array;
  /** (N, P, d2) */
  subspaceVectors?: Float32Array;
}

export interface Projector {
  /** Empties `pixels` as it goes. */
  project(pixels: Uint8Array[], onProjected: () => void): Promise<ProjectedImages>;
  extractDefect(image: DefectImage): Promise<DefectVectors>;
}

/**
 * The second look at images, when the projections are known. Raw patch vectors are made anew, because those of all images take
 * several times the memory of what they are made from.
 */
export async function createProjector(
  kind: NetworkKind,
  { neighbourhood, projection, subspaceProjection }: Projections,
  { compute, input }: Pick<Extraction, 'compute' | 'input'>,
): Promise<Projector> {
  const network = readModel(await readNetwork(kind)).graph;
  const graph = composeProjectionGraph(network, input, neighbourhood, projection, subspaceProjection);
  const model = shareModel(writeModel(graph));
  const { height, width } = gridOf(input);
  const lengthOf = ({ bias }: Projection) => height * width * bias.length;
  return {
    async project(pixels, onProjected) {
      const images = pixels.length;
      const all: ProjectedImages = { projected: sharedFloats(images * lengthOf(projection)) };
      if (subspaceProjection) all.subspaceVectors = sharedFloats(images * lengthOf(subspaceProjection));
      const rowOf = (values: Float32Array, image: number) =>
        values.subarray((image * values.length) / images, ((image + 1) * values.length) / images);
      const project = (ofImage: Uint8Array, image: number) => {
        const targets: ProjectInput['targets'] = { projected: rowOf(all.projected, image) };
        if (all.subspaceVectors) targets.subspaceVectors = rowOf(all.subspaceVectors, image);
        return compute.run(projectTask, { pixels: ofImage, input, model, targets });
      };
      for await (const _ of orderedMap(emptied(pixels), 2 * compute.threads, project)) onProjected();
      return all;
    },
    extractDefect: (image) => {
      // Of the others nobody asks the score.
      const withSubspace = subspaceProjection !== undefined && 'bytes' in image;
      return compute.run(defectTask, { image, input, model, withSubspace });
    },
  };
}

function* emptied<Item>(items: Item[]): Generator<Item> {
  while (items.length > 0) yield items.shift()!;
}

export const sharedFloats = (length: number): Float32Array =>
  new Float32Array(new SharedArrayBuffer(length * Float32Array.BYTES_PER_ELEMENT));

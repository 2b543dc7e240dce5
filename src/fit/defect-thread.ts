import { inThread } from '../shared/compute.js';
import { createRandom } from '../shared/kernels/random.js';
import { coverUninspected } from '../shared/kernels/region-mask.js';
import { decodeInput, inspectedPart, type ModelInput } from '../shared/model-input.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import { type ImageVectors, imageVectors } from './image-vectors.js';
import { syntheticDefect } from './synthetic-defects.js';

/** An image of a defect, given or to be made on a good image. H, W: model input. */
export type DefectImage =
  | { bytes: Uint8Array; maxImageBytes: number }
  | {
      /** (H, W, 3) */
      good: Uint8Array;
      /** (H, W, 3): what the defect is cut from */
      texture: Uint8Array;
      seed: number;
    };

export interface DefectInput {
  image: DefectImage;
  input: ModelInput;
  /** See `composeProjectionGraph`. */
  model: SharedModel;
  /** Whether its vectors for the subspace of good images are wanted. */
  withSubspace: boolean;
}

/** What fitting takes from it. */
export interface DefectVectors extends ImageVectors {
  /** (P, d) */
  projected: Float32Array;
  /** (P, d2) where they are wanted */
  subspaceVectors?: Float32Array;
}

export default inThread<DefectInput, DefectVectors>(
  async ({ image, input, model, withSubspace }) =>
    imageVectors(await pixelsOf(image, input), input, model, [
      'projected',
      ...(withSubspace ? (['subspaceVectors'] as const) : []),
    ]),
  ({ projected }) => [projected.buffer],
);

async function pixelsOf(image: DefectImage, input: ModelInput): Promise<Uint8Array> {
  if ('bytes' in image) return (await decodeInput(image.bytes, input, image)).pixels;
  const { good, texture, seed } = image;
  const random = createRandom(seed);
  const make = () => syntheticDefect(good, texture, input.height, input.width, random);
  const inspected = inspectedPart(input)?.mask;
  if (!inspected) return make().image;
  let defect = make();
  for (let tried = 1; tried < mostTries && !isSeen(defect.mask, inspected); tried++) defect = make();
  coverUninspected(defect.image, inspected);
  return defect.image;
}

/** A defect that nobody can see teaches nothing; in a very small region hardly any is seen. */
const mostTries = 100;

/** Whether at least half of a defect is inspected. */
function isSeen(defect: Uint8Array, inspected: Uint8Array): boolean {
  let [seen, all] = [0, 0];
  for (let i = 0; i < defect.length; i++) {
    all += defect[i]!;
    seen += defect[i]! & inspected[i]!;
  }
  return 2 * seen >= all;
}

import { readFile } from 'node:fs/promises';
import type { Layout } from '../explain/image-axes.js';
import type { Picture } from '../explain/picture.js';
import type { Config } from '../shared/config.js';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { decodeImage, readSize } from '../shared/image.js';
import { expectArray, readNpy } from '../shared/npy.js';
import { type Preprocessing, prepareImage, readImageInput } from '../shared/onnx/image-input.js';
import type { ModelProto } from '../shared/onnx/model.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';

export interface ExplainedInput {
  /** As the model is fed. */
  x: FloatTensor;
  layout: Layout;
  /** Of an image. */
  picture?: Picture;
}

/**
 * What --input names: a .npy file is fed as it stands; an image is decoded, resized to the input of the model (its own size where
 * the model takes any) and prepared.
 *
 * @throws ARRAY_UNREADABLE, SHAPE_MISMATCH; IMAGE_NOT_FOUND and what an image cannot be decoded for; MODEL_INPUT_MISMATCH
 */
export async function readInput(
  path: string,
  model: ModelProto,
  preprocessing: Preprocessing,
  limits: Config['limits'],
): Promise<ExplainedInput> {
  const { layout } = preprocessing;
  if (path.endsWith('.npy')) return { x: await readFloats(path), layout };
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PatchlineError('IMAGE_NOT_FOUND', `Expected an image in ${path} but ${messageOf(cause)}`, { cause });
  });
  const input = readImageInput(model.graph, preprocessing);
  const own = await readSize(bytes);
  const { height = own.height, width = own.width } = input;
  const { pixels } = await decodeImage(bytes, { height, width }, limits);
  const prepare = (each: Uint8Array) => prepareImage(each, height, width, input);
  const picture = { pixels, prepare: (each: Uint8Array) => prepare(each).data };
  return { x: prepare(pixels), layout, picture };
}

/** A float32 array in a .npy file. */
export async function readFloats(path: string): Promise<FloatTensor> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PatchlineError('ARRAY_UNREADABLE', `Expected a .npy file in ${path} but ${messageOf(cause)}`, { cause });
  });
  const { data, shape } = expectArray(readNpy(bytes, path), path, 'float32');
  return { data, dims: shape };
}

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

/**
 * What --background names: usual inputs (M, …) in the form of the input.
 *
 * @throws ARRAY_UNREADABLE, SHAPE_MISMATCH, VALUES_NOT_FINITE
 */
export async function readBackground(path: string, { dims }: FloatTensor): Promise<FloatTensor> {
  const background = await readFloats(path);
  const [count, ...axes] = background.dims;
  if (!count || axes.join() !== dims.slice(1).join()) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected one or more inputs of [${dims.slice(1).join(', ')}] in ${path}, the background, but received ` +
        `[${background.dims.join(', ')}]`,
    );
  }
  const wrong = background.data.findIndex((value) => !Number.isFinite(value));
  if (wrong < 0) return background;
  const row = Math.floor(wrong / (background.data.length / count));
  const message = `Expected finite values in ${path}, the background, but input ${row} holds ${background.data[wrong]}`;
  throw new PatchlineError('VALUES_NOT_FINITE', message);
}

/** A float32 array in a .npy file. */
export async function readFloats(path: string): Promise<FloatTensor> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PatchlineError('ARRAY_UNREADABLE', `Expected a .npy file in ${path} but ${messageOf(cause)}`, { cause });
  });
  const { data, shape } = expectArray(readNpy(bytes, path), path, 'float32');
  return { data, dims: shape };
}

import { type FileHandle, open, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { messageOf, PatchlineError } from '../errors.js';
import { type GraphProto, type ModelProto, readModel, type TensorProto } from './model.js';

/** The format counts its bytes with 31 bits. */
const maxModelBytes = 2 ** 31 - 1;
/** One read of Node takes at most 2 GB. */
const maxReadBytes = 2 ** 30;

/**
 * An ONNX model from a file, with the weights that it keeps in other files beside it. Bytes lie in shared memory and weights are
 * views of them, so that a model of gigabytes is in memory once for all threads.
 *
 * @throws MODEL_DAMAGED where a file is missing, cut short, larger than the format allows or outside the folder of the model
 */
export async function readModelFile(path: string): Promise<ModelProto> {
  const bytes = await withFile(path, 'an ONNX model', async (file) => {
    const { size } = await file.stat();
    if (size > maxModelBytes) throw damaged(`Expected at most 2 GB for ${path} but it has ${size} bytes`);
    return await readBytes(file, 0, size);
  });
  const model = readModel(bytes, path);
  for (const tensor of tensorsIn(model.graph)) {
    if (tensor.dataLocation === 1) await readWeights(tensor, path);
  }
  return model;
}

async function readWeights(tensor: TensorProto, modelPath: string): Promise<void> {
  const { location, offset = '0', length } = entriesOf(tensor);
  if (!location) throw damaged(`Expected the file of the weights ${tensor.name} in ${modelPath} but received none`);
  const path = await fileBeside(await realpath(dirname(modelPath)), location);
  tensor.rawData = await withFile(path, 'weights', async (file) => {
    const { size } = await file.stat();
    const start = Number(offset);
    const count = length === undefined ? size - start : Number(length);
    if (start >= 0 && count >= 0 && start + count <= size) return await readBytes(file, start, count);
    throw damaged(`Expected ${count} bytes at ${start} of ${path} for ${tensor.name} but the file has ${size} bytes`);
  });
  delete tensor.dataLocation;
  delete tensor.externalData;
}

const entriesOf = ({ externalData = [] }: TensorProto): Record<string, string> =>
  Object.fromEntries(externalData.map(({ key, value }) => [key, value]));

/** A model must not make its reader open any other file, by a path or by a link. */
async function fileBeside(folder: string, location: string): Promise<string> {
  const path = await realpath(join(folder, location)).catch((cause: unknown) => {
    throw damaged(`Expected the weights of the model in ${join(folder, location)} but ${messageOf(cause)}`, cause);
  });
  const way = relative(folder, path);
  if (!isAbsolute(location) && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)) return path;
  throw damaged(`Expected weights inside ${folder}, the folder of the model, but received the location ${location}`);
}

async function withFile<T>(path: string, what: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  const file = await open(path).catch((cause: unknown) => {
    throw damaged(`Expected ${what} in ${path} but ${messageOf(cause)}`, cause);
  });
  try {
    return await use(file);
  } catch (cause) {
    if (cause instanceof PatchlineError) throw cause;
    throw damaged(`Expected ${what} in ${path} but ${messageOf(cause)}`, cause);
  } finally {
    await file.close();
  }
}

async function readBytes(file: FileHandle, start: number, count: number): Promise<Uint8Array<SharedArrayBuffer>> {
  const bytes = new Uint8Array(new SharedArrayBuffer(count));
  for (let done = 0; done < count; ) {
    const { bytesRead } = await file.read(bytes, done, Math.min(count - done, maxReadBytes), start + done);
    if (bytesRead === 0) throw damaged(`Expected ${count} bytes at ${start} but the file ends after ${start + done}`);
    done += bytesRead;
  }
  return bytes;
}

/** All constants, those of Constant nodes and of the graphs of If, Loop and Scan too. */
function tensorsIn({ initializer, node }: GraphProto): TensorProto[] {
  const inNodes = node.flatMap(({ attribute }) =>
    attribute.flatMap(({ t, g }) => [...(t ? [t] : []), ...(g ? tensorsIn(g) : [])]),
  );
  return [...initializer, ...inNodes];
}

const damaged = (message: string, cause?: unknown) => new PatchlineError('MODEL_DAMAGED', message, { cause });

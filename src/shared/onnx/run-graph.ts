import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { type Compute, threadTask } from '../compute.js';
import { PatchlineError } from '../errors.js';
import type { PackedModel } from './packed-model.js';
import { createSession } from './session.js';
import { sessionOf } from './session-cache.js';

/** A float32 array in C order. */
export interface FloatTensor {
  data: Float32Array;
  dims: readonly number[];
}

export type FloatTensors = Record<string, FloatTensor>;

/** Runs a graph whose inputs and outputs are float32; a session is loaded once for each graph and thread. */
export type RunGraph = (model: PackedModel, feeds: FloatTensors) => Promise<FloatTensors>;

export interface RunGraphInput {
  model: PackedModel;
  feeds: FloatTensors;
}

/** In the calling thread, which it blocks; at most `maxSessions` stay loaded in it. */
export const runGraphKeeping =
  (maxSessions: number): RunGraph =>
  async (model, feeds) =>
    await runSession(await sessionOf(model, maxSessions), feeds);

/** A method works with a few graphs of one network at a time. */
export const runGraph: RunGraph = runGraphKeeping(4);

/** In the calling thread, which it blocks, with a session that is gone afterwards. */
export const runGraphOnce: RunGraph = async ({ bytes, weights }, feeds) => {
  const session = await createSession(bytes.slice(), 'all', weights); // a copy, because onnxruntime refuses shared memory
  try {
    return await runSession(session, feeds);
  } finally {
    await session.release();
  }
};

async function runSession(session: InferenceSession, feeds: FloatTensors): Promise<FloatTensors> {
  const tensors = Object.entries(feeds).map(([name, { data, dims }]) => [name, new Tensor('float32', data, dims)]);
  const results = await session.run(Object.fromEntries(tensors));
  return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, floatsOf(name, tensor)]));
}

function floatsOf(name: string, { type, data, dims }: Tensor): FloatTensor {
  if (data instanceof Float32Array) return { data, dims };
  throw new PatchlineError('OP_NOT_SUPPORTED', `Expected float32 values for ${name} but received ${type}`);
}

const runGraphTask = threadTask<RunGraphInput, FloatTensors>(new URL('./run-graph-thread.js', import.meta.url));

/** In whichever thread is free. */
export const runGraphIn =
  (compute: Compute): RunGraph =>
  (model, feeds) =>
    compute.run(runGraphTask, { model, feeds });

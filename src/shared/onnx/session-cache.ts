import type { InferenceSession } from 'onnxruntime-node';
import { sha256 } from '../keys.js';
import type { PackedModel } from './packed-model.js';
import { createSession } from './session.js';

/** A model that several threads load: its bytes lie in shared memory and travel once. */
export interface SharedModel {
  /** sha256 of the bytes. */
  id: string;
  bytes: Uint8Array<SharedArrayBuffer>;
}

export function shareModel(bytes: Uint8Array): SharedModel {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.byteLength));
  shared.set(bytes);
  return { id: sha256(bytes), bytes: shared };
}

interface LoadedModel {
  session: Promise<InferenceSession>;
  /** A session reads them where they lie, so that they are kept with it. */
  weights: PackedModel['weights'] | undefined;
}

const loaded = new Map<string, LoadedModel>();

/**
 * This thread's session of a model, loaded when first asked for. At most `maxSessions` stay loaded, the least recently used
 * goes first; a thread runs one task at a time, so none goes while it is in use. A failed load may be tried again.
 */
export async function sessionOf(model: SharedModel | PackedModel, maxSessions: number): Promise<InferenceSession> {
  const { id } = model;
  const entry = loaded.get(id) ?? loadModel(model, maxSessions);
  loaded.delete(id);
  loaded.set(id, entry); // the last one is the most recently used
  try {
    return await entry.session;
  } catch (error) {
    if (loaded.get(id) === entry) loaded.delete(id);
    throw error;
  }
}

function loadModel(model: SharedModel | PackedModel, maxSessions: number): LoadedModel {
  const leaving = [...loaded].slice(0, Math.max(0, loaded.size - maxSessions + 1));
  for (const [id] of leaving) loaded.delete(id);
  const weights = 'weights' in model ? model.weights : undefined;
  const load = async () => {
    for (const [, { session }] of leaving) await session.then((each) => each.release());
    return await createSession(model.bytes.slice(), 'all', weights); // a copy, because onnxruntime refuses shared memory
  };
  return { session: load(), weights };
}

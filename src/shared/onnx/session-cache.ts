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

/** A session reads the weights where they lie, so that they are kept with it. */
const sessions = new Map<string, { session: InferenceSession; weights: PackedModel['weights'] | undefined }>();

/**
 * This thread's session of a model, loaded when first asked for. At most `maxSessions` stay loaded, the least recently used
 * goes first; a thread runs one task at a time, so none goes while it is in use. A failed load may be tried again.
 */
export async function sessionOf(model: SharedModel | PackedModel, maxSessions: number): Promise<InferenceSession> {
  let loaded = sessions.get(model.id);
  if (loaded) {
    sessions.delete(model.id);
  } else {
    for (const [id, oldest] of [...sessions].slice(0, Math.max(0, sessions.size - maxSessions + 1))) {
      sessions.delete(id);
      await oldest.session.release();
    }
    const weights = 'weights' in model ? model.weights : undefined;
    const bytes = model.bytes.slice(); // a copy, because onnxruntime refuses shared memory
    loaded = { session: await createSession(bytes, 'all', weights), weights };
  }
  sessions.set(model.id, loaded);
  return loaded.session;
}

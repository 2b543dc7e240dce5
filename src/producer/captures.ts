import { z } from 'zod';
import { inspectionSchema } from '../shared/contracts.js';
import { imageKeyOf, sha256 } from '../shared/keys.js';
import { getJson, jsonBytes, type ObjectStore } from '../shared/store/object-store.js';
import { inspectionOf, type Producer, planInspection } from './enqueue.js';
import { type NewOriginal, storeOriginal } from './originals.js';

/** What a camera's own id of a shot stands for, fixed by the first who sent it. */
const captureSchema = z.strictObject(
  z.object(inspectionSchema.shape).pick({ imageKey: true, capturedAt: true, product: true, bundle: true }).shape,
);
type Capture = z.infer<typeof captureSchema>;

/**
 * Stores one image of a camera and plans its inspection. The same `captureId` of a camera is the same inspection for ever, whatever
 * bytes and times come with it.
 *
 * The record of a capture is written before its original: whoever comes later, after a crash in between or at the same moment,
 * stores under the key that the record names, so that no second image comes to be.
 *
 * @throws CAMERA_UNKNOWN, BUNDLE_NOT_FOUND before anything is stored
 */
export async function storeCapture(producer: Producer, original: NewOriginal, captureId: string | undefined) {
  const product = await producer.productOf(original.camera);
  const bundle = await producer.activeVersionOf(product);
  if (captureId === undefined) return planInspection(producer, await storeOriginal(producer.store, original, false));
  const { camera, capturedAt, bytes, fileName } = original;
  const imageKey = imageKeyOf(camera, capturedAt, bytes, fileName);
  const capture = await claim(producer.store, captureKey(camera, captureId), { imageKey, capturedAt, product, bundle });
  const known = { ...original, imageKey: capture.imageKey, capturedAt: capture.capturedAt };
  const image = await storeOriginal(producer.store, known, false);
  return inspectionOf(image, capture.product, capture.bundle, producer.config);
}

const captureKey = (camera: string, captureId: string): string => `captures/${camera}/${sha256(captureId)}.json`;

async function claim(store: ObjectStore, key: string, own: Capture): Promise<Capture> {
  for (;;) {
    if (await store.putIfAbsent(key, jsonBytes(own), { contentType: 'application/json' })) return own;
    const found = await getJson(store, key);
    if (found !== undefined) return captureSchema.parse(found); // else it has been deleted meanwhile
  }
}

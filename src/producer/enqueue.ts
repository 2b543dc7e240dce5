import { activeVersion } from '../shared/active-bundle.js';
import { listProducts } from '../shared/bundle.js';
import type { Config } from '../shared/config.js';
import type { Inspection } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { activeBundleKey, inspectionIdOf } from '../shared/keys.js';
import type { ProcessData } from '../shared/process-data.js';
import { jobIdOf, lookAt, type Queues } from '../shared/queues.js';
import { hasResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { addScore, restart, runAgain } from './restart.js';

/** How long a camera's product and a product's active bundle version are taken as known. */
const knownForMs = 2_000;
/** Names that are remembered: those of cameras come from outside. */
const maxKnown = 1_000;

/** Of the jobs of a backfill: behind every live image, which has none. */
export const backfillPriority = 10;

/** What every way in shares. */
export interface Producer {
  store: ObjectStore;
  queues: Queues;
  config: Config;
  /** The product that a camera looks at, at most 2 s old. @throws CAMERA_UNKNOWN */
  productOf(camera: string): Promise<string>;
  /** The active bundle version of a product, at most 2 s old. @throws BUNDLE_NOT_FOUND, BUNDLE_DAMAGED */
  activeVersionOf(product: string): Promise<string>;
}

export function createProducer(store: ObjectStore, queues: Queues, config: Config): Producer {
  return {
    store,
    queues,
    config,
    productOf: remembered((camera) => productOf(store, config, camera)),
    activeVersionOf: remembered((product) => requireActiveVersion(store, product)),
  };
}

/** Asks the store at most every 2 s: not for each image. */
function remembered(ask: (name: string) => Promise<string>): (name: string) => Promise<string> {
  const known = new Map<string, { answer: Promise<string>; askedAt: number }>();
  return (name) => {
    const entry = known.get(name);
    if (entry && Date.now() - entry.askedAt < knownForMs) return entry.answer;
    const answer = ask(name);
    if (known.size >= maxKnown) known.clear();
    known.set(name, { answer, askedAt: Date.now() });
    return answer;
  };
}

/** @throws BUNDLE_NOT_FOUND where the product has no active bundle, BUNDLE_DAMAGED where what names it cannot be read. */
export async function requireActiveVersion(store: ObjectStore, product: string): Promise<string> {
  const version = await activeVersion(store, product);
  if (version !== undefined) return version;
  throw new PatchlineError(
    'BUNDLE_NOT_FOUND',
    `Expected an active bundle for the product ${product}: run "patchline fit"`,
  );
}

/** The product a camera is configured for, else the store's only one. */
export async function productOf(store: ObjectStore, config: Config, camera: string): Promise<string> {
  const configured = config.cameras[camera]?.product;
  if (configured !== undefined) return configured;
  const products = await listProducts(store);
  const active = await Promise.all(products.map((product) => store.head(activeBundleKey(product))));
  const ready = products.filter((_, index) => active[index] !== undefined);
  const candidates = ready.length > 0 ? ready : products;
  if (candidates.length === 1) return candidates[0]!;
  const found = products.length === 0 ? 'no product' : `the products ${products.join(', ')}`;
  throw new PatchlineError(
    'CAMERA_UNKNOWN',
    `Expected the camera ${camera} in the configuration (cameras: {${camera}: {product: …}}), since the store holds ${found}`,
  );
}

export interface CameraImage {
  imageKey: string;
  camera: string;
  capturedAt: string;
  process?: ProcessData;
}

/** Fixes what inspecting an image means, so that every run of the job takes the same way. */
export async function planInspection(producer: Producer, image: CameraImage, priority = 0): Promise<Inspection> {
  const product = await producer.productOf(image.camera);
  const bundle = await producer.activeVersionOf(product);
  return inspectionOf(image, product, bundle, producer.config, priority);
}

export function inspectionOf(
  image: CameraImage,
  product: string,
  bundle: string,
  config: Config,
  priority = 0,
): Inspection {
  const inspectionId = inspectionIdOf(image.imageKey, product, bundle, image.capturedAt);
  const region = config.cameras[image.camera]?.region;
  return { inspectionId, ...image, product, bundle, policy: config.explain, priority, ...(region && { region }) };
}

export type Enqueued = 'enqueued' | 'finished' | 'busy';

/**
 * Enqueues an inspection unless it has a result. What a lost or trimmed job left behind is cleared away first: a plain
 * add under an id that is still in a finished set is ignored without a word.
 *
 * @param again inspects anew what has a result; `busy` where that inspection is under way.
 */
export async function enqueue({ store, queues }: Producer, inspection: Inspection, again: boolean): Promise<Enqueued> {
  const { inspectionId } = inspection;
  if (again) return (await runAgain({ store, queues }, inspection)) ? 'enqueued' : 'busy';
  if (await hasResult(store, inspectionId)) return 'finished';
  const score = await lookAt(queues, 'score', jobIdOf(inspectionId, 'score'));
  if (!score.exists) await addScore(queues, inspection);
  else if (!score.live && !(await lookAt(queues, 'finalize', jobIdOf(inspectionId, 'finalize'))).live) {
    if (await hasResult(store, inspectionId)) return 'finished';
    if (!(await restart(queues, inspection))) return 'busy';
  }
  return 'enqueued';
}

import { pMapIterable } from 'p-map';
import { PatchlineError } from '../shared/errors.js';
import { expectArray, readNpy } from '../shared/npy.js';
import { listResults } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';

export type MapKind = 'anomaly' | 'gradcam';

/** Maps that compare pixel by pixel: of one view, by one bundle. */
export interface MapGroup {
  camera: string | null;
  bundle: string;
  keys: string[];
  /** A picture of a good part, at the size of the model input. */
  trainingImage: string;
}

export interface MapSearch {
  product: string;
  camera?: string | undefined;
  /** A date: older inspections are left out without listing them. */
  since?: string | undefined;
  map: MapKind;
}

/** So many objects are asked for at once. */
const readsAtATime = { concurrency: 16, backpressure: 16 } as const;

/**
 * The maps of a product's inspections, by camera and bundle, oldest first. Only their keys are held, about 200 bytes each.
 *
 * @throws MAPS_NOT_FOUND
 */
export async function findMaps(store: ObjectStore, search: MapSearch): Promise<MapGroup[]> {
  const { product, camera, map } = search;
  const groups = new Map<string, MapGroup>();
  let inspections = 0;
  for await (const result of listResults(store, search.since)) {
    const isWanted = result.product === product && (camera === undefined || result.camera === camera);
    if (!isWanted || result.status === 'failed') continue;
    inspections++;
    const key = map === 'anomaly' ? result.artefacts?.anomalyMap : result.artefacts?.gradcam;
    if (key === undefined) continue;
    const name = `${result.camera}/${result.bundle}`;
    const group = groups.get(name);
    if (group) group.keys.push(key);
    else {
      const { camera: owner, bundle, nearestNormal } = result;
      groups.set(name, { camera: owner, bundle, keys: [key], trainingImage: nearestNormal.trainingImage });
    }
  }
  if (groups.size > 0) return [...groups.values()];
  throw new PatchlineError(
    'MAPS_NOT_FOUND',
    `Expected inspections of ${describe(search)} with ${nameOf(map)} but ` +
      (inspections === 0
        ? 'there are no inspections'
        : `none of ${inspections} has one: by the policy flagged only anomalous images get explanations`),
  );
}

export const nameOf = (map: MapKind): string => (map === 'anomaly' ? 'an anomaly map' : 'a Grad-CAM++ map');

const describe = ({ product, camera, since }: MapSearch): string =>
  `${product}${camera === undefined ? '' : ` by ${camera}`}${since === undefined ? '' : ` since ${since}`}`;

export interface ReadMap {
  /** (H, W) */
  data: Float32Array;
  height: number;
  width: number;
}

/** @throws OBJECT_NOT_FOUND, ARRAY_UNREADABLE, SHAPE_MISMATCH */
export async function readMap(store: ObjectStore, key: string): Promise<ReadMap> {
  const { data, shape } = expectArray(readNpy(await store.get(key), key), key, 'float32', [null, null]);
  const [height, width] = shape as [number, number];
  return { data, height, width };
}

/**
 * All maps of a group in order, a few held at a time.
 *
 * @throws SHAPE_MISMATCH where one has another size than the first
 */
export async function* readMaps(
  store: ObjectStore,
  { keys }: MapGroup,
  { height, width }: Omit<ReadMap, 'data'>,
): AsyncGenerator<Float32Array> {
  for await (const { key, map } of pMapIterable(
    keys,
    async (key) => ({ key, map: await readMap(store, key) }),
    readsAtATime,
  )) {
    if (map.height !== height || map.width !== width) {
      throw new PatchlineError(
        'SHAPE_MISMATCH',
        `Expected ${height} x ${width} values (height x width), as in ${keys[0]}, for ${key} but received ` +
          `${map.height} x ${map.width}: maps of two sizes do not compare; --since can leave out the older ones`,
      );
    }
    yield map.data;
  }
}

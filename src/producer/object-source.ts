import type { Config } from '../shared/config.js';
import { PatchlineError } from '../shared/errors.js';
import {
  isKey,
  type ListPage,
  type ObjectHead,
  type ObjectInfo,
  type ObjectStore,
} from '../shared/store/object-store.js';
import { bucketOf, parseS3Url } from '../shared/store/s3-client.js';
import { getObject, headObject, listObjects } from '../shared/store/s3-objects.js';
import { assertCaptureTime } from './capture-time.js';
import type { CameraImage } from './enqueue.js';
import { isImageName } from './image-files.js';
import type { ImageSource, SourceImage, SourcePage } from './image-source.js';
import { markOf, readMark } from './originals.js';
import { parseSidecar, sidecarNamesOf } from './process-sidecar.js';

/** What the store keeps for itself: its pictures and training images are no images of a camera. */
const ownFolders = ['bundles', 'captures', 'cursors', 'history', 'inspections', 'sinks', 'work'];

/** Objects that are named where they lie, be it in the store or in another bucket of the same server. */
interface Objects {
  list(after: string | undefined): Promise<ListPage>;
  head(key: string): Promise<ObjectHead | undefined>;
  get(key: string): Promise<Uint8Array>;
  /** Where it is in the store; undefined where it lies elsewhere. */
  storeKeyOf(key: string): string | undefined;
  addressOf(key: string): string;
}

interface ObjectSourceOptions {
  store: ObjectStore;
  camera: string;
  limits: Config['limits'];
}

/** Everything whose address begins with `url`. Errors: ARGUMENT_INVALID. */
export function openS3Source(store: ObjectStore, url: string, camera: string, limits: Config['limits']): ImageSource {
  const { bucket: name, key: prefix } = parseS3Url(url);
  const bucket = bucketOf(name);
  const storePrefix = `${store.url}/`;
  const addressOf = (key: string) => `s3://${name}/${key}`;
  const objects: Objects = {
    list: (after) => listObjects(bucket, prefix, { after, limit: 1_000 }),
    head: (key) => headObject(bucket, key),
    get: (key) => getObject(bucket, key),
    storeKeyOf(key) {
      const inStore = addressOf(key).startsWith(storePrefix) ? addressOf(key).slice(storePrefix.length) : '';
      return isKey(inStore) ? inStore : undefined;
    },
    addressOf,
  };
  return openObjects(addressOf(prefix), objects, { store, camera, limits });
}

/** What lies in a store under a prefix. */
export function openStoreSource(
  store: ObjectStore,
  prefix: string,
  camera: string,
  limits: Config['limits'],
): ImageSource {
  const objects: Objects = {
    list: (after) => store.list(prefix, { after, limit: 10_000 }), // a directory reads its names anew for each page
    head: (key) => store.head(key),
    get: (key) => store.get(key),
    storeKeyOf: (key) => key,
    addressOf: (key) => key,
  };
  return openObjects(`${store.url}/${prefix}`, objects, { store, camera, limits });
}

/** So many of the first images are looked at to see whether times of capture stand beside them. */
const sampledImages = 16;

function openObjects(address: string, objects: Objects, options: ObjectSourceOptions): ImageSource {
  const pages = (after: string | undefined) => imagePages(objects, options, after);
  return {
    address,
    byReference: true,
    pages,
    async findTimes() {
      for await (const { images } of pages(undefined)) {
        const heads = await Promise.all(images.slice(0, sampledImages).map(({ key }) => objects.head(key)));
        if (images.length > 0) return heads.some((head) => head?.metadata.capturedat) ? 'metadata' : 'modified';
      }
      return 'modified';
    },
  };
}

/** A page is held until the next one is known, since an image's sidecar comes after it. */
async function* imagePages(
  objects: Objects,
  options: ObjectSourceOptions,
  after: string | undefined,
): AsyncGenerator<SourcePage> {
  const isOwn = (key: string) => ownFolders.includes(objects.storeKeyOf(key)?.split('/')[0] ?? '');
  const textsOf = ({ objects: listed }: ListPage) =>
    listed.map(({ key }) => key).filter((key) => key.endsWith('.json'));
  let before: string[] = [];
  let page: ListPage | undefined = await objects.list(after);
  while (page) {
    const next: ListPage | undefined = page.next === undefined ? undefined : await objects.list(page.next);
    const texts: Set<string> = new Set([...before, ...textsOf(page), ...(next ? textsOf(next) : [])]);
    const chosen = page.objects.filter(({ key }) => isImageName(key) && !isOwn(key));
    const sidecars = new Set(chosen.flatMap(({ key }) => sidecarNamesOf(key)));
    const others = page.objects.filter(({ key }) => !key.endsWith('/') && !isImageName(key) && !isOwn(key));
    const lastKey = page.next ?? page.objects.at(-1)?.key;
    if (lastKey !== undefined) {
      yield {
        images: chosen.map((object) => imageOf(object, objects, texts, options)),
        lastKey,
        skipped: others.filter(({ key }) => !sidecars.has(key)).length,
      };
    }
    before = textsOf(page);
    page = next;
  }
}

function imageOf(
  { key, size, modifiedAt }: ObjectInfo,
  objects: Objects,
  texts: ReadonlySet<string>,
  { store, camera, limits }: ObjectSourceOptions,
): SourceImage {
  const name = objects.addressOf(key);
  const sidecar = sidecarNamesOf(key).find((text) => texts.has(text));
  return {
    key,
    modifiedAt,
    async read(times) {
      if (size > limits.maxImageBytes) {
        throw new PatchlineError(
          'IMAGE_TOO_LARGE',
          `Expected at most ${limits.maxImageBytes} bytes for ${name} but received ${size}`,
        );
      }
      const storeKey = objects.storeKeyOf(key);
      const image: CameraImage = { imageKey: storeKey ?? name, camera, capturedAt: modifiedAt.toISOString() };
      if (times === 'metadata') Object.assign(image, await readMetadata(objects, key, { store, camera }));
      assertCaptureTime(image.capturedAt, name);
      if (sidecar !== undefined) {
        const text = new TextDecoder().decode(await objects.get(sidecar));
        const process = parseSidecar(text, objects.addressOf(sidecar), name);
        if (process) image.process = process;
      }
      return image;
    },
  };
}

/** Time of capture and process data that are written beside an object. An original that was only collected is no longer. */
async function readMetadata(
  objects: Objects,
  key: string,
  { store, camera }: Pick<ObjectSourceOptions, 'store' | 'camera'>,
): Promise<Pick<CameraImage, 'capturedAt' | 'process'>> {
  const name = objects.addressOf(key);
  const head = await objects.head(key);
  if (!head) throw new PatchlineError('IMAGE_NOT_FOUND', `Expected an image under ${name} but there is none`);
  const { capturedat } = head.metadata;
  if (capturedat !== undefined && Number.isNaN(Date.parse(capturedat))) {
    throw new PatchlineError(
      'CAPTURE_TIME_INVALID',
      `Expected an ISO 8601 time as the metadata capturedat of ${name} but received ${JSON.stringify(capturedat)}`,
    );
  }
  const { image, collected } = readMark(head, key, camera);
  const { capturedAt, process } = image;
  const storeKey = objects.storeKeyOf(key);
  if (collected && storeKey !== undefined) await store.setMetadata(storeKey, markOf(image, false));
  return { capturedAt, ...(process && { process }) };
}

import {
  directoryDefects,
  directoryImages,
  storeDefects,
  storeImages,
  type TrainingSource,
} from '../fit/training-images.js';
import { productOf } from '../producer/enqueue.js';
import { goodOriginals } from '../producer/good-originals.js';
import { assertCameraName } from '../producer/ingest.js';
import { confirmedImages, type DefectImage, type ImageChoice } from '../producer/reviewed-images.js';
import { PatchlineError } from '../shared/errors.js';
import { namePattern } from '../shared/keys.js';
import { openStore } from '../shared/store/open-store.js';
import { remark, type Session } from './command-line.js';

/** What `fit` is to learn from. */
export interface ImageOptions {
  product?: string;
  camera?: string;
  from?: string;
  to?: string;
  /** Given where a bundle grows. */
  add?: string | true;
}

export interface Chosen {
  product: string;
  images: TrainingSource[];
  /** Labelled images of defects. */
  defects: TrainingSource[];
}

/**
 * The images of a folder or an s3:// prefix; without one, those of the store: where a bundle grows, the ones that people have
 * reviewed, else the good ones of a camera.
 *
 * @throws ARGUMENT_INVALID, CAMERA_UNKNOWN, DATASET_INVALID, TOO_FEW_IMAGES where a bundle is to grow by none
 */
export async function chooseImages(path: string | undefined, options: ImageOptions, session: Session): Promise<Chosen> {
  const { camera, from, to, add } = options;
  const fromStore = camera !== undefined || (add !== undefined && path === undefined);
  if ((path !== undefined) === fromStore) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      'Expected either a folder or s3:// prefix of good images, or --camera, or --add alone for images reviewed good',
    );
  }
  if (path !== undefined) {
    if (from === undefined && to === undefined) return await imagesBelow(path, assertProductName(options.product));
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected --from and --to with --camera or --add, not with a folder');
  }
  if (camera !== undefined) assertCameraName(camera);
  const product = options.product ?? (camera && (await productOf(session.store, session.config, camera)));
  const choice = { product: assertProductName(product), camera, since: from, until: to };
  return add === undefined
    ? await originalsOf(session, { ...choice, camera: camera! })
    : await reviewed(session, choice);
}

async function imagesBelow(path: string, product: string): Promise<Chosen> {
  if (!path.startsWith('s3://')) {
    return { product, images: await directoryImages(path), defects: await directoryDefects(path) };
  }
  const store = await openStore(path);
  return { product, images: await storeImages(store), defects: await storeDefects(store) };
}

async function originalsOf({ store }: Session, choice: ImageChoice & { camera: string }): Promise<Chosen> {
  const { images, confirmed, defects, leftOut } = await goodOriginals(store, choice);
  remark(
    `${images.length} originals of ${choice.camera}, ${confirmed} of them reviewed good; ` +
      `${leftOut} left out because they were judged anomalous, ${defects.length} because they were reviewed anomalous`,
  );
  remarkDefects(defects);
  return { product: choice.product, images, defects };
}

async function reviewed({ store }: Session, choice: ImageChoice): Promise<Chosen> {
  const { product, camera } = choice;
  const { images, defects, gone } = await confirmedImages(store, choice);
  const whose = camera === undefined ? `product ${product}` : `camera ${camera}`;
  if (gone > 0) remark(`${gone} reviewed images of ${whose} left out because they are not in the store any more`);
  if (images.length === 0) {
    throw new PatchlineError(
      'TOO_FEW_IMAGES',
      `Expected images of ${whose} that were reviewed good, to add them, but found none: "patchline review INSPECTION good" makes one`,
    );
  }
  remark(`${images.length} images of ${whose} reviewed good`);
  remarkDefects(defects);
  return { product, images, defects };
}

/** By type, those without a name last. */
function remarkDefects(defects: readonly DefectImage[]): void {
  if (defects.length === 0) return;
  const named = defects.flatMap(({ defectType }) => defectType ?? []).sort();
  const types = [...new Set(named)].map((type) => `${named.filter((name) => name === type).length} ${type}`);
  if (named.length < defects.length) types.push(`${defects.length - named.length} of no named type`);
  remark(`labelled images of defects, from those reviewed anomalous: ${types.join(', ')}`);
}

function assertProductName(product: string | undefined): string {
  if (product !== undefined && namePattern.test(product)) return product;
  const received = product === undefined ? 'nothing' : JSON.stringify(product);
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a name of lower-case letters, digits, - and _ for --product but received ${received}`,
  );
}

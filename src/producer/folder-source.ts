import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import type { Config } from '../shared/config.js';
import { compareKeys } from '../shared/store/directory-listing.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { listImageFiles } from './image-files.js';
import type { ImageSource, SourceImage } from './image-source.js';
import { readNewOriginal } from './ingest.js';
import { storeOriginal } from './originals.js';

const filesPerPage = 1_000;

/** The image files of a folder, or a single one; reading one stores it as an original of the camera. */
export function openFolderSource(
  store: ObjectStore,
  folder: string,
  camera: string,
  limits: Config['limits'],
): ImageSource {
  return {
    address: folder,
    byReference: false,
    findTimes: async () => 'modified', // each file is read anyway, with the time that stands in it
    async *pages(after) {
      const { files, skipped } = await listImageFiles(folder);
      const keyed = files.map((file) => ({ file, key: relative(folder, file).split(sep).join('/') || '.' }));
      const left = keyed
        .filter(({ key }) => after === undefined || compareKeys(key, after) > 0)
        .sort((a, b) => compareKeys(a.key, b.key));
      for (let start = 0; start < left.length; start += filesPerPage) {
        const some = left.slice(start, start + filesPerPage);
        const images = await Promise.all(
          some.map(
            async ({ file, key }): Promise<SourceImage> => ({
              key,
              modifiedAt: (await stat(file).catch(() => undefined))?.mtime ?? new Date(),
              read: async () => await storeOriginal(store, await readNewOriginal(file, camera, limits), false),
            }),
          ),
        );
        yield { images, lastKey: images.at(-1)!.key, skipped: start === 0 ? skipped : 0 };
      }
    },
  };
}

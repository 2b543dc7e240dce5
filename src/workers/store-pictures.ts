import { type Pictures, readSources } from '../explain/pictures.js';
import type { PicturesInput } from '../explain/pictures-thread.js';
import { type Compute, threadTask } from '../shared/compute.js';
import type { ScoredResult, Warning } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { inspectionFolder } from '../shared/keys.js';
import { readerOf } from '../shared/read-image.js';
import type { ObjectStore } from '../shared/store/object-store.js';

const picturesTask = threadTask<PicturesInput, Pictures>(new URL('../explain/pictures-thread.js', import.meta.url));

/**
 * Draws all pictures of an explained inspection and stores them beside its result. One that cannot be drawn becomes a warning:
 * it must not cost the verdict.
 *
 * @throws what may pass, such as STORE_UNREACHABLE
 */
export async function storePictures(
  result: ScoredResult,
  { store, compute }: { store: ObjectStore; compute: Compute },
): Promise<Warning[]> {
  try {
    const sources = await readSources(result, readerOf(store, result));
    const pictures = sources ? await compute.run(picturesTask, { result, sources }) : {};
    const folder = inspectionFolder(result.inspectionId);
    await Promise.all(
      Object.entries(pictures).map(([name, bytes]) =>
        store.put(`${folder}/${name}`, bytes, { contentType: name.endsWith('.svg') ? 'image/svg+xml' : 'image/png' }),
      ),
    );
    return [];
  } catch (error) {
    if (!(error instanceof PatchlineError) || error.retryable) throw error;
    return [{ code: error.code, message: `The pictures could not be drawn: ${error.message}` }];
  }
}

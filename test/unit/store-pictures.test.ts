import { afterAll, expect, test } from 'vitest';
import { createCompute } from '../../src/shared/compute.js';
import { PatchlineError } from '../../src/shared/errors.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { storePictures } from '../../src/workers/store-pictures.js';
import { artefacts, scoredResult } from '../helpers/scored-result.js';

const compute = createCompute({ threads: 1 });
afterAll(() => compute.close());

const explained = { ...scoredResult, artefacts };
const storeThat = (get: ObjectStore['get']) => ({ store: { get } as ObjectStore, compute });

test('pictures that cannot be drawn become a warning', async () => {
  const { store } = storeThat(async () => Buffer.from('no array'));
  expect(await storePictures(explained, { store, compute })).toEqual([
    {
      code: 'ARRAY_UNREADABLE',
      message: expect.stringMatching(/^The pictures could not be drawn: Expected a .npy file .* for anomaly map/),
    },
  ]);
});

test('an original that is gone is called so', async () => {
  const gone = new PatchlineError('OBJECT_NOT_FOUND', 'nothing there');
  const read: ObjectStore['get'] = (key) => (key === explained.imageKey ? Promise.reject(gone) : new Promise(() => {}));
  const [warning] = await storePictures(explained, storeThat(read));
  expect(warning!.code).toBe('IMAGE_NOT_FOUND');
});

test('what may pass is thrown, so that the job runs again', async () => {
  const away = new PatchlineError('STORE_UNREACHABLE', 'away', { retryable: true });
  await expect(
    storePictures(
      explained,
      storeThat(() => Promise.reject(away)),
    ),
  ).rejects.toBe(away);
});

test('an image that was not explained has nothing to draw', async () => {
  expect(
    await storePictures(
      scoredResult,
      storeThat(() => Promise.reject(new Error('read'))),
    ),
  ).toEqual([]);
});

import { basename, join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { type InspectionResult, stageNames } from '../../src/shared/contracts.js';
import { inspectionFolder } from '../../src/shared/keys.js';
import { readResult } from '../../src/shared/results.js';
import { listAll } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runCommand, startCommand } from '../helpers/command-line.js';
import { startContainers } from '../helpers/containers.js';
import { createFittedStore } from '../helpers/fitted-store.js';

const timeout = 300_000; // ms; the first run pulls the images

test('a pool process per stage inspects and explains a folder over containers of Redis and MinIO', {
  timeout,
}, async (context) => {
  const env = await startContainers(context);
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const { images, remove } = await createFittedStore(2, 1, env.PATCHLINE_STORE);
  const settings = { ...env, PATCHLINE_EXPLAIN: 'all', PATCHLINE_THREADS: '1' };
  const pools = stageNames.map((stage) => startCommand(['worker', stage], settings));
  try {
    await Promise.all(pools.map((pool) => pool.printed('working on')));
    const ingest = await runCommand(
      ['ingest', join(images, 'test'), '--camera', 'line-1', '--wait', '--json'],
      settings,
    );
    expect(ingest).toMatchObject({ code: 0 });

    const { results } = JSON.parse(ingest.stdout) as { results: InspectionResult[] };
    expect(results.length).toBe(7); // two good plates and one of each defect
    expect(results.map(({ status }) => status)).toEqual(results.map(() => 'done'));
    const store = await openStore(env.PATCHLINE_STORE!);
    for (const result of results) {
      expect(await readResult(store, result.inspectionId)).toEqual(result);
      const names: string[] = [];
      for await (const { key } of listAll(store, `${inspectionFolder(result.inspectionId)}/`))
        names.push(basename(key));
      expect(names.toSorted()).toEqual(['anomaly-map.npy', 'gradcam.npy', 'overlay.png', 'result.json']);
    }
  } finally {
    for (const { child } of pools) child.kill('SIGTERM');
    await remove();
    vi.unstubAllEnvs();
  }
  expect(await Promise.all(pools.map(({ ended }) => ended))).toEqual(pools.map(() => 0));
});

import { performance } from 'node:perf_hooks';
import pMap from 'p-map';
import { createProducer } from '../producer/enqueue.js';
import { ingestOriginal } from '../producer/ingest.js';
import { lastEventId, waitForEvents } from '../producer/wait-for-results.js';
import { createCompute } from '../shared/compute.js';
import type { Config } from '../shared/config.js';
import { type Policy, stageNames } from '../shared/contracts.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { Logger } from '../shared/logger.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { openQueues, type Queues } from '../shared/queues.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { openStore } from '../shared/store/open-store.js';
import { explainImage } from '../workers/explain-image.js';
import { startPools } from '../workers/pools.js';

/** The bench measures the bundle's own classifier. */
const classifiers = new Map<string, never>();

/** What every run of the bench shares. */
export interface Setup {
  product: string;
  config: Config;
  logger: Logger;
  bundle: LoadedBundle;
  redisUrl: string;
  storeUrl: string;
}

export interface Run {
  imagesPerSecond: number;
  /** Of this process and its threads, without Redis. */
  cpuMsPerImage: number;
}

export interface PipelineRun extends Run {
  objectsPerImage: number;
  redisCommandsPerImage: number;
}

/** The same work without queues and store: decode, score, draw and explain, as many images at once as there are threads. */
export async function runKernels({ config, bundle }: Setup, plates: Uint8Array[], policy: Policy): Promise<Run> {
  const compute = createCompute({ threads: config.threads });
  const { maxLoadedBundles } = config;
  const scorer = createScorer(compute, config);
  const inspectPlate = async (bytes: Uint8Array) => {
    const image = await scorer.score(bytes, bundle);
    if (policy === 'flagged' && image.scored.verdict === 'good') return;
    await scorer.draw(image, bundle);
    await explainImage(image, await scorer.pack(image), 'gradcam.npy', bundle, {
      compute,
      classifiers,
      tables: new Map(),
      maxLoadedBundles,
    });
  };
  await pMap(plates.slice(0, 4 * config.threads), inspectPlate); // loads the networks in every thread
  const run = await timed(plates.length, async () => {
    await pMap(plates, inspectPlate, { concurrency: 2 * config.threads });
  });
  await compute.close();
  return run;
}

/** Through queues and store: from the first image sent to the last result. `name` keeps its jobs and images apart from other runs. */
export async function runPipeline(
  setup: Setup,
  plates: Uint8Array[],
  policy: Policy,
  name: string,
): Promise<PipelineRun> {
  const { logger, redisUrl, storeUrl, product } = setup;
  const config: Config = { ...setup.config, explain: policy, queue: { ...setup.config.queue, prefix: name } };
  const queues = openQueues(redisUrl, config.queue, logger);
  const puts = { count: 0 };
  const store = countingPuts(await openStore(storeUrl), puts);
  const pools = startPools(stageNames, { store, queues, config, logger, classifiers });
  const send = async (plate: Uint8Array[], camera: string) => {
    const producer = createProducer(store, queues, { ...config, cameras: { [camera]: { product } } });
    const from = await lastEventId(queues);
    const capturedAt = new Date().toISOString();
    const ids = await pMap(
      plate,
      async (bytes, index) => {
        const original = { camera, bytes, fileName: `${index}.jpg`, capturedAt };
        return (await ingestOriginal(producer, original, false)).inspection.inspectionId;
      },
      { concurrency: 8 },
    );
    await waitForEvents(ids, { queues, logger, from });
  };
  await send(plates.slice(0, 4 * config.threads), `${name}-warm-up`);
  puts.count = 0;
  const before = await commandsOf(queues);
  const run = await timed(plates.length, () => send(plates, name));
  const after = await commandsOf(queues);
  await pools.close();
  await queues.close();
  return {
    ...run,
    objectsPerImage: puts.count / plates.length,
    redisCommandsPerImage: (after - before) / plates.length,
  };
}

async function timed(images: number, work: () => Promise<void>): Promise<Run> {
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await work();
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { imagesPerSecond: images / seconds, cpuMsPerImage: (user + system) / 1000 / images };
}

/** Counts objects written, the originals included. */
function countingPuts(store: ObjectStore, puts: { count: number }): ObjectStore {
  return {
    ...store,
    put(...args) {
      puts.count++;
      return store.put(...args);
    },
    putIfAbsent(...args) {
      puts.count++;
      return store.putIfAbsent(...args);
    },
  };
}

/** Commands that Redis has processed since it started. */
async function commandsOf({ redis }: Queues): Promise<number> {
  return Number(/^total_commands_processed:(\d+)/m.exec(await redis.info('stats'))![1]);
}

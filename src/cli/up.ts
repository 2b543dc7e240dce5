import { reconcile } from '../producer/reconcile.js';
import { cleanStore } from '../producer/retention.js';
import { stageNames } from '../shared/contracts.js';
import { startEmbeddedRedis } from '../shared/embedded-redis.js';
import { shownAddress } from '../shared/redis-ping.js';
import { isS3Url } from '../shared/store/s3-client.js';
import { loadClassifiers } from '../workers/load-classifiers.js';
import { startPools } from '../workers/pools.js';
import { answer, type CommonOptions, defineCommand, openSession, remark } from './command-line.js';
import { type Connection, untilAskedToEnd, withConnection } from './connection.js';
import { describeReconcile } from './reconcile.js';
import { services, startServices } from './services.js';

export const up = defineCommand(
  'up',
  'Run everything in this process: an embedded Redis where REDIS_URL is not set, and the workers of all stages.',
  'patchline up --store ./patchline-data',
).action(async (options: CommonOptions) => {
  // A reconcile that fails must not take the workers down: the images stay in the store for the next one.
  let reconcileAgain = () => {};
  const { store, logger } = await openSession(options);
  const embedded =
    !process.env.REDIS_URL && !isS3Url(store.url) // S3 without REDIS_URL is refused by withConnection
      ? await startEmbeddedRedis(store.url, { logger, onRestart: () => reconcileAgain() })
      : undefined;
  try {
    await withConnection(options, async (connection) => {
      const classifiers = await loadClassifiers(connection.config);
      const beside = await startServices(Object.keys(services), connection); // before the pools, which a failure would leave
      const pools = startPools(stageNames, { ...connection, classifiers });
      const queues = shownAddress(connection.queues.url);
      answer(options, { store: store.url, queues }, []);
      remark(`ready: ${store.url}, queues at ${queues}`);
      const ending = new AbortController();
      let reconciling = Promise.resolve();
      reconcileAgain = () => {
        reconciling = reconciling.then(() => reconcileOnce(connection, ending.signal));
      };
      reconcileAgain();
      const clean = () => void cleanOnce(connection, ending.signal);
      const sweep = setInterval(clean, dayMs);
      clean();
      await untilAskedToEnd();
      clearInterval(sweep);
      ending.abort();
      await Promise.all([reconciling, beside.close(), pools.close()]);
    });
  } finally {
    await embedded?.stop();
  }
});

const dayMs = 86_400_000;

async function cleanOnce({ store, config, logger }: Connection, signal: AbortSignal): Promise<void> {
  try {
    logger.info(await cleanStore(store, config.retention, { signal }), 'cleaned');
  } catch (error) {
    if (!signal.aborted) logger.error({ err: error }, 'cleaning failed');
  }
}

async function reconcileOnce({ producer, logger }: Connection, signal: AbortSignal): Promise<void> {
  try {
    const report = await reconcile(producer, { signal });
    logger.info(report, 'reconciled');
    if (report.enqueued + report.failed > 0) remark(describeReconcile(report));
  } catch (error) {
    if (!signal.aborted) logger.error({ err: error }, 'reconcile failed');
  }
}

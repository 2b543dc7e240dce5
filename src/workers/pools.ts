import { createCompute } from '../shared/compute.js';
import type { Config } from '../shared/config.js';
import { stages as contracts, type ExplainingStage, type RunnableStage } from '../shared/contracts.js';
import { createBundleCache } from '../shared/loaded-bundle.js';
import type { Logger } from '../shared/logger.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { publish, type Queues } from '../shared/queues.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { addFinalize, addFlow } from './add-finalize.js';
import { childOutcomes } from './child-outcomes.js';
import { finalize } from './finalize.js';
import { type RunningWorker, runWorker } from './run-worker.js';
import { score } from './score.js';

export interface PoolOptions {
  store: ObjectStore;
  queues: Queues;
  config: Config;
  logger: Logger;
}

/** The explaining stages that a flow gets: those that this release can run. */
const explainers: readonly ExplainingStage[] = [];

/** Starts the workers of the named stages in this process. `close` finishes what is under way. */
export function startPools(stages: readonly RunnableStage[], options: PoolOptions): RunningWorker {
  const { store, queues, config, logger } = options;
  const common = { store, queues, logger, concurrency: 2 * config.threads };
  const closing: (() => Promise<void>)[] = [];
  const start: Record<RunnableStage, () => RunningWorker> = {
    score() {
      const compute = createCompute({ threads: config.threads });
      closing.push(() => compute.close());
      const scorer = createScorer(compute, {
        limits: { maxImageBytes: config.limits.maxImageBytes, maxLoadedBundles: config.maxLoadedBundles },
      });
      const bundles = createBundleCache(store, config.maxLoadedBundles);
      return runWorker({
        ...common,
        stage: 'score',
        contract: contracts.score,
        handle: (data, { keepLock }) =>
          score(data, {
            store,
            scorer,
            loadBundle: bundles.get,
            publishVerdict: (event) => publish(queues, 'verdicts', event),
            addFinalize: (scored) => addFinalize(queues, scored),
            addFlow: (scored) => addFlow({ queues, store, explainers, keepLock }, scored),
          }),
      });
    },
    finalize: () =>
      runWorker({
        ...common,
        stage: 'finalize',
        contract: contracts.finalize,
        handle: (data, { job }) =>
          finalize(data, {
            store,
            childOutcomes: () => childOutcomes(job, queues),
            publishResult: (event) => publish(queues, 'results', event),
          }),
      }),
  };
  const workers = stages.map((stage) => start[stage]());
  return {
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await Promise.all(closing.map((close) => close()));
    },
  };
}

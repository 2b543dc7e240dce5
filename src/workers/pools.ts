import { type Compute, createCompute } from '../shared/compute.js';
import type { Config } from '../shared/config.js';
import { stages as contracts, type FeaturesResult, type Stage } from '../shared/contracts.js';
import { createBundleCache } from '../shared/loaded-bundle.js';
import type { Logger } from '../shared/logger.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { publish, type Queues } from '../shared/queues.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { addFinalize, addFlow } from './add-finalize.js';
import { childOutcomes } from './child-outcomes.js';
import { features } from './features.js';
import { finalize } from './finalize.js';
import { gradcam } from './gradcam.js';
import type { TableModel } from './process-attribution.js';
import { type JobTools, type RunningWorker, runWorker } from './run-worker.js';
import { score } from './score.js';
import { shap } from './shap.js';
import { createSimilarLookup } from './similar-lookup.js';
import { storePictures } from './store-pictures.js';
import type { UserClassifier } from './user-classifier.js';

export interface PoolOptions {
  store: ObjectStore;
  queues: Queues;
  config: Config;
  logger: Logger;
  /** Products that have a classifier of their own: `loadClassifiers`. */
  classifiers: ReadonlyMap<string, UserClassifier>;
  /** Products that have a model of process data: `loadTables`. */
  tables?: ReadonlyMap<string, TableModel>;
}

/** Starts the workers of the named stages in this process, over one pool of threads. `close` finishes what is under way. */
export function startPools(names: readonly Stage[], options: PoolOptions): RunningWorker {
  const { store, queues, config, logger, classifiers, tables = new Map() } = options;
  const { maxLoadedBundles } = config;
  const compute = createCompute({ threads: config.threads });
  const { get: loadBundle } = createBundleCache(store, maxLoadedBundles);
  const computeFor = ({ priority }: { priority: number }) => (priority > 0 ? compute.behind : compute);
  const common = { store, queues, logger, concurrency: 2 * config.threads };
  const findSimilar = createSimilarLookup({ store, config, logger });
  const start: Record<Stage, () => RunningWorker> = {
    score: () => startScore({ ...common, compute, loadBundle, config }),
    gradcam: () =>
      runWorker({
        ...common,
        stage: 'gradcam',
        contract: contracts.gradcam,
        handle: (data) =>
          gradcam(data, { store, compute: computeFor(data), classifiers, maxLoadedBundles, loadBundle }),
      }),
    features: () =>
      runWorker({
        ...common,
        stage: 'features',
        contract: contracts.features,
        handle: (data) => features(data, { store, compute: computeFor(data) }),
      }),
    shap: () =>
      runWorker({
        ...common,
        stage: 'shap',
        contract: contracts.shap,
        handle: (data, { job }) => shap(data, { loadBundle, compute, tables, features: () => featuresOf(job) }),
      }),
    finalize: () =>
      runWorker({
        ...common,
        stage: 'finalize',
        contract: contracts.finalize,
        handle: (data, { job }) =>
          finalize(data, {
            store,
            childOutcomes: () => childOutcomes(job, queues, tables.has(data.product)),
            publishResult: (event) => publish(queues, 'results', event),
            findSimilar,
            ...(config.pictures === 'all' && {
              storePictures: (result) => storePictures(result, { store, compute: computeFor(data) }),
            }),
          }),
      }),
  };
  const workers = names.map((name) => start[name]());
  return {
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      await compute.close();
    },
  };
}

interface ScoreWorkerOptions extends Omit<PoolOptions, 'classifiers' | 'tables'> {
  compute: Compute;
  concurrency: number;
  loadBundle: Parameters<typeof score>[1]['loadBundle'];
}

function startScore({ store, queues, config, compute, loadBundle, ...common }: ScoreWorkerOptions): RunningWorker {
  const scorer = createScorer(compute, config);
  const scorerBehind = createScorer(compute.behind, config);
  return runWorker({
    ...common,
    store,
    queues,
    stage: 'score',
    contract: contracts.score,
    handle: (data, { keepLock }) =>
      score(data, {
        store,
        scorer: data.priority > 0 ? scorerBehind : scorer,
        loadBundle,
        publishVerdict: (event) => publish(queues, 'verdicts', event),
        addFinalize: (scored) => addFinalize(queues, scored),
        addFlow: (scored) => addFlow({ queues, store, keepLock }, scored),
      }),
  });
}

/** What the features job under a shap job found. */
async function featuresOf(job: JobTools['job']): Promise<FeaturesResult> {
  const [value] = Object.values(await job.getChildrenValues());
  return contracts.features.result.parse(value);
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { requireActiveVersion } from '../producer/enqueue.js';
import { readCameraFile } from '../producer/ingest.js';
import { createCompute } from '../shared/compute.js';
import type { FailedResult, Inspection, InspectionResult, ScoredResult } from '../shared/contracts.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import { gradcamKey, inspectionIdOf } from '../shared/keys.js';
import { loadClassifiers } from '../shared/load-classifiers.js';
import { type LoadedBundle, loadBundle } from '../shared/loaded-bundle.js';
import { createScorer, packWork, type ScoredImage, type Scorer } from '../shared/patchcore/scorer.js';
import { explainImage } from '../workers/explain-image.js';
import { isExplained, joinResult } from '../workers/finalize.js';
import type { ClassifierContext } from '../workers/gradcam.js';
import { answer, type CommonOptions, defineCommand, openSession, type Session } from './command-line.js';
import { createProgress } from './progress.js';
import { describeResult } from './result-lines.js';

interface InspectOptions extends CommonOptions {
  product: string;
  out?: string;
}

export const inspect = defineCommand(
  'inspect <image...>',
  'Inspect images in this process, without queues. Exit 1 if one cannot be read; an anomalous image is no failure.',
  'patchline inspect part.jpg --product kol --out ./result',
)
  .requiredOption('--product <name>', 'the product they show')
  .option('--out <dir>', 'write result.json, overlay.png and anomaly-map.npy to DIR/<inspection>/')
  .action(async (images: string[], options: InspectOptions) => {
    const session = await openSession(options);
    const { store, config } = session;
    const version = await requireActiveVersion(store, options.product);
    const compute = createCompute({ threads: Math.min(config.threads, images.length) });
    const scorer = createScorer(compute, {
      limits: { maxImageBytes: config.limits.maxImageBytes, maxLoadedBundles: config.maxLoadedBundles },
    });
    try {
      const bundle = await loadBundle(store, options.product, version);
      const classifiers = await loadClassifiers(config);
      const classifier = { compute, classifiers, maxLoadedBundles: config.maxLoadedBundles };
      const progress = createProgress('inspecting', images.length);
      const results = await pMap(
        images,
        async (image) => {
          const result = await inspectImage(image, { session, classifier, scorer, bundle, out: options.out });
          progress.tick();
          return result;
        },
        { concurrency: 2 * compute.threads },
      );
      progress.stop();
      answer(options, results, results.map(describeResult));
      if (results.some(({ status }) => status === 'failed')) process.exitCode = 1;
    } finally {
      await compute.close();
    }
  });

interface Inspector {
  session: Session;
  classifier: ClassifierContext;
  scorer: Scorer;
  bundle: LoadedBundle;
  out: string | undefined;
}

async function inspectImage(path: string, inspector: Inspector): Promise<InspectionResult> {
  const { product, version } = inspector.bundle.bundle;
  const { explain, limits } = inspector.session.config;
  const identity = { imageKey: path, camera: null, product, bundle: version };
  const inspectionOf = (capturedAt: string): Inspection => {
    const inspectionId = inspectionIdOf(path, product, version, capturedAt);
    return { inspectionId, ...identity, policy: explain, priority: 0, capturedAt };
  };
  let inspection = inspectionOf(new Date().toISOString());
  try {
    const { bytes, capturedAt } = await readCameraFile(path, 'file', limits);
    inspection = inspectionOf(capturedAt);
    const image = await inspector.scorer.score(bytes, inspector.bundle);
    return await resultOf(inspection, image, inspector);
  } catch (error) {
    if (!(error instanceof PatchlineError)) throw error;
    return failedResultOf(inspection, error);
  }
}

async function resultOf(inspection: Inspection, image: ScoredImage, { scorer, classifier, bundle, out }: Inspector) {
  const scoredInspection = { ...inspection, scored: image.scored };
  const explained = isExplained(scoredInspection);
  if (!explained) return await write(joinResult(scoredInspection, undefined), {}, out);
  const key = gradcamKey(inspection.inspectionId);
  const { outcomes, gradcamMap } = await explainImage(image.scored, packWork(image), key, bundle, classifier);
  const { anomalyMap, overlay } = await scorer.draw(image, bundle);
  const files = {
    'anomaly-map.npy': anomalyMap,
    'overlay.png': overlay,
    ...(gradcamMap && { 'gradcam.npy': gradcamMap }),
  };
  return await write(joinResult(scoredInspection, outcomes), files, out);
}

/** Writes a result with its files to DIR/<inspection>/, where one was given. The keys in it are those it would have in a store. */
async function write(result: ScoredResult, files: Record<string, Uint8Array>, out: string | undefined) {
  if (out === undefined) return result;
  const directory = join(out, result.inspectionId);
  await mkdir(directory, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(directory, name), bytes);
  await writeFile(join(directory, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
  return result;
}

function failedResultOf({ priority, policy, ...identity }: Inspection, error: PatchlineError): FailedResult {
  return {
    schema: 1,
    ...identity,
    finishedAt: new Date().toISOString(),
    status: 'failed',
    error: { code: codeOf(error), message: messageOf(error), stage: 'score' },
    policy,
    priority,
  };
}

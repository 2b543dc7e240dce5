import pMap from 'p-map';
import { requireActiveVersion } from '../producer/enqueue.js';
import { readCameraFile } from '../producer/ingest.js';
import { createCompute } from '../shared/compute.js';
import type { FailedResult, Inspection, Policy } from '../shared/contracts.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import { gradcamKey, inspectionIdOf } from '../shared/keys.js';
import { type LoadedBundle, loadBundle } from '../shared/loaded-bundle.js';
import { createScorer, type ScoredImage, type Scorer } from '../shared/patchcore/scorer.js';
import type { ProcessData } from '../shared/process-data.js';
import { type ExplainContext, explainImage } from '../workers/explain-image.js';
import { addSimilar, isExplained, joinResult } from '../workers/finalize.js';
import { loadClassifiers } from '../workers/load-classifiers.js';
import { loadTables } from '../workers/load-tables.js';
import { createSimilarLookup, type FindSimilar } from '../workers/similar-lookup.js';
import { answer, type CommonOptions, defineCommand, openSession, remark, type Session } from './command-line.js';
import { type Inspected, writeContactSheet, writeInspection } from './inspection-folders.js';
import { assertPlaceForPictures, type PicturesOptions, picturesOption } from './pictures-option.js';
import { createProgress } from './progress.js';
import { describeResult } from './result-lines.js';

interface InspectOptions extends CommonOptions, PicturesOptions {
  product: string;
}

export const inspect = defineCommand(
  'inspect <image...>',
  'Inspect images in this process, without queues. Exit 1 if one cannot be read; an anomalous image is no failure.',
  'patchline inspect part.jpg --product kol --out ./result',
)
  .requiredOption('--product <name>', 'the product they show')
  .option('--out <dir>', 'write results and pictures to DIR/<inspection>/, to look at with DIR/index.html')
  .addOption(picturesOption())
  .action(async (images: string[], options: InspectOptions) => {
    assertPlaceForPictures(options);
    const session = await openSession(options);
    const { store, config } = session;
    const { out, pictures = config.pictures } = options;
    const policy = options.pictures === 'all' ? 'all' : config.explain;
    const version = await requireActiveVersion(store, options.product);
    const compute = createCompute({ threads: Math.min(config.threads, images.length) });
    const scorer = createScorer(compute, config);
    try {
      const bundle = await loadBundle(store, options.product, version);
      const [classifiers, tables] = [await loadClassifiers(config), await loadTables(config)];
      const explaining = { compute, classifiers, tables, maxLoadedBundles: config.maxLoadedBundles };
      const findSimilar = createSimilarLookup(session);
      const progress = createProgress('inspecting', images.length);
      const results = await pMap(
        images,
        async (image) => {
          const inspected = await inspectImage(image, { session, explaining, scorer, bundle, policy, findSimilar });
          if (out !== undefined) await writeInspection(inspected, out, pictures, store);
          progress.tick();
          return inspected.result;
        },
        { concurrency: 2 * compute.threads },
      );
      progress.stop();
      if (out !== undefined) remark(`pictures: ${await writeContactSheet(out)}`);
      answer(options, results, results.map(describeResult));
      if (results.some(({ status }) => status === 'failed')) process.exitCode = 1;
    } finally {
      await compute.close();
    }
  });

interface Inspector {
  session: Session;
  explaining: ExplainContext;
  scorer: Scorer;
  bundle: LoadedBundle;
  policy: Policy;
  findSimilar: FindSimilar;
}

async function inspectImage(path: string, inspector: Inspector): Promise<Inspected> {
  const { product, version } = inspector.bundle.bundle;
  const { policy, session } = inspector;
  const identity = { imageKey: path, camera: null, product, bundle: version };
  const inspectionOf = (capturedAt: string, process?: ProcessData): Inspection => {
    const inspectionId = inspectionIdOf(path, product, version, capturedAt);
    return { inspectionId, ...identity, policy, priority: 0, capturedAt, ...(process && { process }) };
  };
  let inspection = inspectionOf(new Date().toISOString());
  try {
    const { bytes, capturedAt, process } = await readCameraFile(path, 'file', session.config.limits);
    inspection = inspectionOf(capturedAt, process);
    const image = await inspector.scorer.score(bytes, inspector.bundle);
    return { ...(await explain(inspection, image, inspector)), original: bytes };
  } catch (error) {
    if (!(error instanceof PatchlineError)) throw error;
    return { result: failedResultOf(inspection, error), files: {} };
  }
}

/** The result, whose keys are those it would have in a store, and the artefacts. */
async function explain(
  inspection: Inspection,
  image: ScoredImage,
  { scorer, explaining, bundle, findSimilar }: Inspector,
): Promise<Inspected> {
  const scoredInspection = { ...inspection, scored: image.scored };
  if (!isExplained(scoredInspection)) return { result: joinResult(scoredInspection, undefined), files: {} };
  const key = gradcamKey(inspection.inspectionId);
  const work = await scorer.pack(image);
  const { outcomes, gradcamMap } = await explainImage(scoredInspection, work, key, bundle, explaining);
  const { anomalyMap, overlay } = await scorer.draw(image, bundle);
  const files = {
    'anomaly-map.npy': anomalyMap,
    'overlay.png': overlay,
    ...(gradcamMap && { 'gradcam.npy': gradcamMap }),
  };
  const result = joinResult(scoredInspection, outcomes);
  addSimilar(result, await findSimilar(scoredInspection));
  return { result, files };
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

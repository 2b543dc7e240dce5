import { findSimilar, type SimilarInspection, type Suspect, suspectOf } from '../history/nearest.js';
import { requireHistory } from '../history/table.js';
import { requireActiveVersion } from '../producer/enqueue.js';
import { readCameraFile } from '../producer/ingest.js';
import { createCompute } from '../shared/compute.js';
import { inspectionSchema } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { loadBundle } from '../shared/loaded-bundle.js';
import { createScorer } from '../shared/patchcore/scorer.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { answer, type CommonOptions, defineCommand, openSession, type Session, wholeNumber } from './command-line.js';

interface SimilarOptions extends CommonOptions {
  product: string;
  k?: number;
}

export const similar = defineCommand(
  'similar <inspection-or-image>',
  'Show the past inspections most like one, or like an image file, which is scored here and not stored.',
  'patchline similar i-20260131-0123456789abcdef01234567 --product kol',
)
  .requiredOption('--product <name>', 'the product it shows')
  .option('--k <number>', 'how many (default: history.similar of the configuration, 5)', wholeNumber(1))
  .action(async (what: string, options: SimilarOptions) => {
    const session = await openSession(options);
    const isInspection = inspectionSchema.shape.inspectionId.safeParse(what).success;
    const history = await requireHistory(session.store);
    const suspect = isInspection
      ? await readInspection(session.store, what, options.product)
      : await scoreImage(session, what, options.product);
    const found = await findSimilar(history, suspect, options.k ?? session.config.history.similar);
    const { product, verdict, imageKey } = suspect;
    answer(options, { product, imageKey, verdict, similar: found }, [
      `${verdict}: ${imageKey}`,
      ...(found.length > 0 ? found.map(describe) : ['no past inspection to compare it with']),
    ]);
  });

function describe({ distance, verdict, review, inspectionId, imageKey }: SimilarInspection): string {
  return `  distance ${distance.toFixed(3)}  ${verdict.padEnd(9)}  ${review === null ? 'not reviewed' : `reviewed ${review}`}  ${inspectionId}  ${imageKey}`;
}

/** @throws INSPECTION_NOT_FOUND, ARGUMENT_INVALID */
async function readInspection(store: ObjectStore, inspectionId: string, product: string): Promise<Suspect> {
  const result = await readResult(store, inspectionId);
  if (!result || result.status === 'failed') {
    const found = result ? 'a failed one' : 'none';
    throw new PatchlineError(
      'INSPECTION_NOT_FOUND',
      `Expected a result with a verdict of ${inspectionId} but found ${found}`,
    );
  }
  if (result.product === product) return suspectOf(result, result);
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected the product of ${inspectionId}, ${result.product}, for --product but received ${product}`,
  );
}

async function scoreImage({ store, config }: Session, path: string, product: string): Promise<Suspect> {
  const bundle = await loadBundle(store, product, await requireActiveVersion(store, product));
  const { bytes } = await readCameraFile(path, 'file', config.limits);
  const compute = createCompute({ threads: 1 });
  try {
    const { scored } = await createScorer(compute, config).score(bytes, bundle);
    return suspectOf({ inspectionId: path, imageKey: path, product }, scored);
  } finally {
    await compute.close();
  }
}

import { Option } from 'commander';
import { type FitOptions as FitSettings, fitBundle } from '../fit/fit.js';
import {
  directoryDefects,
  directoryImages,
  storeDefects,
  storeImages,
  type TrainingSource,
} from '../fit/training-images.js';
import { productOf } from '../producer/enqueue.js';
import { goodOriginals } from '../producer/good-originals.js';
import { assertCameraName } from '../producer/ingest.js';
import { type Bundle, bundleCardKey, profileNames } from '../shared/bundle.js';
import { createCompute } from '../shared/compute.js';
import { PatchlineError } from '../shared/errors.js';
import { namePattern } from '../shared/keys.js';
import { scoreNames } from '../shared/patchcore/image-score.js';
import { openStore } from '../shared/store/open-store.js';
import {
  answer,
  type CommonOptions,
  date,
  defineCommand,
  openSession,
  remark,
  type Session,
  wholeNumber,
} from './command-line.js';
import { createPhases } from './progress.js';

interface FitOptions extends CommonOptions {
  product?: string;
  profile: FitSettings['profile'];
  network?: FitSettings['network'];
  score?: FitSettings['score'];
  seed: number;
  activate: boolean;
  camera?: string;
  from?: string;
  to?: string;
}

export const fit = defineCommand(
  'fit [images]',
  'Learn a bundle for a product from good images: a folder (train/good, or the images in it; defects in train/<defect> if there are any), an s3:// prefix laid out like it, or the originals of a camera.',
  'patchline fit ./kol --product kol\npatchline fit --camera line-1 --from 2026-01-01 --to 2026-01-31',
)
  .option('--product <name>', 'what is inspected (with --camera: by default what the camera is configured for)')
  .option('--camera <name>', 'learn from the originals of this camera that were not judged anomalous')
  .option('--from <date>', 'with --camera: first day', date)
  .option('--to <date>', 'with --camera: last day', date)
  .addOption(new Option('--profile <name>', 'recipe').choices(profileNames).default('fast'))
  .addOption(
    new Option('--network <kind>', 'network (default: auto with profile fast, else float)').choices([
      'auto',
      'int8',
      'float',
    ]),
  )
  .addOption(
    new Option('--score <name>', 'image score (default: top3 with profile classic, else fused)').choices(scoreNames),
  )
  .option('--seed <number>', 'seed of every random choice', wholeNumber(0), 0)
  .option('--no-activate', 'do not inspect new images with it yet')
  .action(async (path: string | undefined, options: FitOptions) => {
    const session = await openSession(options);
    const chosen = await chooseImages(path, options, session);
    const { product } = chosen;
    const bundle = await fitWith(session, { ...options, ...chosen });
    const card = new TextDecoder().decode(await session.store.get(bundleCardKey(product, bundle.version)));
    answer(options, bundle, card.trimEnd().split('\n'));
  });

interface Chosen {
  product: string;
  images: TrainingSource[];
  defects?: TrainingSource[];
}

async function chooseImages(path: string | undefined, options: FitOptions, session: Session): Promise<Chosen> {
  const { camera, from, to } = options;
  if ((path === undefined) === (camera === undefined)) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      'Expected either a folder or s3:// prefix of good images, or --camera',
    );
  }
  if (camera === undefined) {
    if (from !== undefined || to !== undefined) {
      throw new PatchlineError('ARGUMENT_INVALID', 'Expected --from and --to with --camera only');
    }
    const product = assertProductName(options.product);
    if (!path!.startsWith('s3://')) {
      return { product, images: await directoryImages(path!), defects: await directoryDefects(path!) };
    }
    const store = await openStore(path!);
    return { product, images: await storeImages(store), defects: await storeDefects(store) };
  }
  assertCameraName(camera);
  const product = assertProductName(options.product ?? (await productOf(session.store, session.config, camera)));
  const { images, leftOut } = await goodOriginals(session.store, { camera, product, since: from, until: to });
  remark(`${images.length} originals of ${camera}; ${leftOut} left out because they were judged anomalous`);
  return { product, images };
}

function assertProductName(product: string | undefined): string {
  if (product !== undefined && namePattern.test(product)) return product;
  const received = product === undefined ? 'nothing' : JSON.stringify(product);
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a name of lower-case letters, digits, - and _ for --product but received ${received}`,
  );
}

type FitWith = Omit<FitSettings, 'store' | 'compute' | 'maxImageBytes' | 'logger' | 'progress'>;

/** Fits in the threads of this process, with progress on a terminal. */
export async function fitWith({ store, config, logger }: Session, settings: FitWith): Promise<Bundle> {
  const compute = createCompute({ threads: config.threads });
  const phases = createPhases();
  const { maxImageBytes } = config.limits;
  try {
    return await fitBundle({ ...settings, store, compute, maxImageBytes, logger, progress: phases.report });
  } finally {
    phases.stop();
    await compute.close();
  }
}

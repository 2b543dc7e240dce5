import { type Command, InvalidArgumentError, Option } from 'commander';
import { type FitOptions as FitSettings, fitBundle } from '../fit/fit.js';
import { growBundle } from '../fit/grow.js';
import type { Tiles } from '../fit/network-input.js';
import type { ThresholdChoice } from '../fit/threshold.js';
import { requireActiveVersion } from '../producer/enqueue.js';
import { type Bundle, bundleCardKey, oddImagesKey, profileNames } from '../shared/bundle.js';
import { createCompute } from '../shared/compute.js';
import { PatchlineError } from '../shared/errors.js';
import type { Region } from '../shared/kernels/region-mask.js';
import { scoreNames } from '../shared/patchcore/image-score.js';
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
import { type Chosen, chooseImages, type ImageOptions } from './fit-images.js';
import { createPhases } from './progress.js';
import { type ThresholdOptions, thresholdChoice, thresholdOptions } from './threshold-options.js';

interface FitOptions extends CommonOptions, ThresholdOptions, ImageOptions {
  profile: FitSettings['profile'];
  network?: FitSettings['network'];
  score?: FitSettings['score'];
  tiles?: Tiles;
  seed: number;
  activate: boolean;
  base?: string;
}

export const fit = defineCommand(
  'fit [images]',
  'Learn a bundle for a product from good images: a folder (train/good, or the images in it; defects in train/<defect> if there are any), an s3:// prefix laid out like it, or the originals of a camera.',
  'patchline fit ./kol --product kol\npatchline fit --camera line-1 --from 2026-01-01 --to 2026-01-31\npatchline fit --add --product kol',
)
  .option('--product <name>', 'what is inspected (with --camera: by default what the camera is configured for)')
  .option(
    '--camera <name>',
    'learn from the originals of this camera that were not judged anomalous, or were reviewed good; those reviewed anomalous are its defects',
  )
  .option('--from <date>', 'with --camera, or --add without a folder: first day', date)
  .option('--to <date>', 'with --camera, or --add without a folder: last day', date)
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
  .option(
    '--tiles <RxC>',
    'look closer, at large images with small defects: R times as many pixels down, C across',
    tiles,
  )
  .option(
    '--add [images]',
    'add the images, given here or before, else those reviewed good (all, or of --camera), to a bundle that there is, whose settings stay; the result is a new version',
  )
  .option('--base <version>', 'with --add: the version that they are added to (default: the active one)', version)
  .addOption(thresholdOptions.falseAlarms)
  .addOption(thresholdOptions.costMiss)
  .addOption(thresholdOptions.costAlarm)
  .option('--no-activate', 'do not inspect new images with it yet')
  .action(async (path: string | undefined, options: FitOptions, command: Command) => {
    assertGrowing(path, options, command);
    const threshold = thresholdChoice(options);
    const session = await openSession(options);
    const chosen = await chooseImages(typeof options.add === 'string' ? options.add : path, options, session);
    const { product } = chosen;
    const settings = { ...options, threshold };
    const bundle =
      options.add === undefined
        ? await fitWith(session, { ...settings, ...chosen, region: regionOf(product, options.camera, session.config) })
        : await growWith(session, chosen, settings);
    const card = new TextDecoder().decode(await session.store.get(bundleCardKey(product, bundle.version)));
    answer(options, bundle, card.trimEnd().split('\n'));
    if (bundle.oddImages.length > 0) {
      remark(`odd training images: ${session.store.url}/${oddImagesKey(product, bundle.version)}`);
    }
  });

function version(text: string): string {
  if (/^v[1-9]\d*$/.test(text)) return text;
  throw new InvalidArgumentError('Expected a version such as v3.');
}

/** What a bundle that grows takes from the one before. */
const keptSettings = ['profile', 'network', 'score', 'tiles', 'seed'];

function assertGrowing(path: string | undefined, { add, base }: FitOptions, command: Command): void {
  if (add === undefined) {
    if (base !== undefined) throw new PatchlineError('ARGUMENT_INVALID', 'Expected --base with --add only');
    return;
  }
  if (path !== undefined && add !== true) {
    throw new PatchlineError('ARGUMENT_INVALID', `Expected one folder of images but received ${path} and ${add}`);
  }
  const given = keptSettings.filter((name) => command.getOptionValueSource(name) === 'cli');
  if (given.length === 0) return;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected --add without ${given.map((name) => `--${name}`).join(', ')}: what is added to keeps its settings; fit anew to change them`,
  );
}

/** Over so many a model input would take more memory than a worker should have. */
const mostTiles = 16;

function tiles(text: string): Tiles {
  const [, rows, columns] = /^([1-9])x([1-9])$/.exec(text) ?? [];
  if (Number(rows) * Number(columns) <= mostTiles) return { rows: Number(rows), columns: Number(columns) };
  throw new InvalidArgumentError(`Expected rows x columns such as 2x3, at most ${mostTiles} tiles.`);
}

/** The region of the camera, or that of all cameras that look at the product: a bundle is learned for one. */
function regionOf(product: string, camera: string | undefined, { cameras }: Session['config']): Region | undefined {
  const looking = Object.entries(cameras).filter(([name, settings]) =>
    camera === undefined ? settings.product === product : name === camera,
  );
  const regions = new Map(looking.map(([, { region }]) => [JSON.stringify(region), region]));
  if (regions.size <= 1) return [...regions.values()][0];
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected one region for all cameras of product ${product} but those of ${looking.map(([name]) => name).join(', ')} differ: ` +
      'fit with --camera, or give each camera a product of its own',
  );
}

type FitWith = Omit<FitSettings, 'store' | 'compute' | 'maxImageBytes' | 'logger' | 'progress'>;

/** Fits in the threads of this process, with progress on a terminal. */
export const fitWith = (session: Session, settings: FitWith): Promise<Bundle> =>
  withThreads(session, (tools) => fitBundle({ ...settings, ...tools }));

interface GrowSettings extends Pick<FitOptions, 'base' | 'activate' | 'falseAlarms' | 'costMiss'> {
  threshold: ThresholdChoice;
}

async function growWith(session: Session, chosen: Chosen, settings: GrowSettings): Promise<Bundle> {
  const { base, activate, falseAlarms, costMiss } = settings;
  const threshold = falseAlarms === undefined && costMiss === undefined ? undefined : settings.threshold;
  const grownFrom = base ?? (await requireActiveVersion(session.store, chosen.product));
  const { bundle, known } = await withThreads(session, (tools) =>
    growBundle({ ...chosen, ...tools, base: grownFrom, activate, threshold }),
  );
  if (known.length > 0) remark(`${known.length} images left out, because ${grownFrom} has learned from them already`);
  return bundle;
}

type Tools = Pick<FitSettings, 'store' | 'compute' | 'maxImageBytes' | 'logger' | 'progress'>;

async function withThreads<Result>({ store, config, logger }: Session, work: (tools: Tools) => Promise<Result>) {
  const compute = createCompute({ threads: config.threads });
  const phases = createPhases();
  const { maxImageBytes } = config.limits;
  try {
    return await work({ store, compute, maxImageBytes, logger, progress: phases.report });
  } finally {
    phases.stop();
    await compute.close();
  }
}

import { Option } from 'commander';
import { openSource } from '../producer/image-source.js';
import { assertCameraName } from '../producer/ingest.js';
import { pollSource } from '../producer/poll-source.js';
import { watchFolder } from '../producer/watch-folder.js';
import { pollSettings, watchSettings } from '../shared/config.js';
import { PatchlineError } from '../shared/errors.js';
import { isS3Url } from '../shared/store/s3-client.js';
import { answer, type CommonOptions, defineCommand, remark, wholeNumber } from './command-line.js';
import { abortWhenAskedToEnd, type Connection, withConnection } from './connection.js';

interface FolderOptions {
  after?: 'move' | 'leave';
  stable?: number;
  polling?: boolean;
  sidecar?: boolean;
}
interface PrefixOptions {
  every?: number;
  sweep?: number;
}
interface WatchCommandOptions extends CommonOptions, FolderOptions, PrefixOptions {
  camera: string;
}

export const watch = defineCommand(
  'watch <place>',
  'Ingest every image that comes into a folder, or under s3://bucket/prefix, until Ctrl-C.',
  'patchline watch ./from-camera --camera line-1\npatchline watch s3://parts/line-1/ --camera line-1 --every 5',
)
  .requiredOption('--camera <name>', 'the camera that takes them')
  .addOption(
    new Option('--after <what>', 'a folder: move files to done/ or rejected/, or leave them (default: move)').choices([
      'move',
      'leave',
    ]),
  )
  .option('--stable <ms>', 'a folder: how long a file must not have changed (default: 2000)', wholeNumber(10))
  .option('--polling', 'a folder: on a network share, which does not tell of changes')
  .option('--sidecar', 'a folder: wait for the sidecar that comes with each image')
  .option('--every <seconds>', 's3: pause between two looks (default: 10)', wholeNumber(1))
  .option('--sweep <minutes>', 's3: how often all keys are listed (default: 60)', wholeNumber(1))
  .action(async (place: string, options: WatchCommandOptions) => {
    assertFitting(place, options);
    assertCameraName(options.camera);
    await withConnection(options, async (connection) => {
      const { producer } = connection;
      await producer.activeVersionOf(await producer.productOf(options.camera));
      const counts = { taken: 0, refused: 0 };
      const ending = abortWhenAskedToEnd();
      const run = isS3Url(place) ? watchPrefix : watchDirectory;
      await run(connection, place, options, { counts, signal: ending.signal });
      ending.stop();
      answer(options, counts, [`${counts.taken} taken, ${counts.refused} refused`]);
    });
  });

/** @throws ARGUMENT_INVALID for options of the other kind of place. */
function assertFitting(place: string, { after, stable, polling, sidecar, every, sweep }: WatchCommandOptions): void {
  const ofOther = isS3Url(place) ? { after, stable, polling, sidecar } : { every, sweep };
  const [given] = Object.entries(ofOther).find(([, value]) => value !== undefined) ?? [];
  if (given === undefined) return;
  const kinds = isS3Url(place) ? 'a folder' : 'an s3:// address';
  throw new PatchlineError('ARGUMENT_INVALID', `Expected --${given} with ${kinds} only but received ${place}`);
}

interface Run {
  counts: { taken: number; refused: number };
  signal: AbortSignal;
}

async function watchDirectory(
  { producer, logger }: Connection,
  dir: string,
  { camera, after, stable: stableMs, polling, sidecar }: WatchCommandOptions,
  { counts, signal }: Run,
): Promise<void> {
  const { dir: directory, ...settings } = watchSettings.parse({ dir, camera, after, stableMs, polling, sidecar });
  const watched = await watchFolder(producer, {
    ...{ directory, ...settings, logger },
    onFile({ file, inspectionId, error }) {
      counts[error ? 'refused' : 'taken']++;
      remark(error ? `${file}: ${error.code}: ${error.message}` : `${file}: ${inspectionId}`);
    },
  });
  remark(`watching ${directory}`);
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  await watched.close();
}

async function watchPrefix(
  { producer, store, config, logger }: Connection,
  address: string,
  { camera, every, sweep }: WatchCommandOptions,
  { counts, signal }: Run,
): Promise<void> {
  const { everySeconds, sweepMinutes } = pollSettings.parse({
    ...{ source: address, camera, everySeconds: every, sweepMinutes: sweep },
  });
  const source = await openSource(store, address, camera, config.limits);
  remark(`watching ${address}`);
  await pollSource(producer, source, {
    ...{ camera, logger, signal },
    everyMs: 1_000 * everySeconds,
    sweepEveryMs: 60_000 * sweepMinutes,
    onOutcome(outcome) {
      counts[outcome.kind === 'refused' ? 'refused' : 'taken']++;
      if (outcome.kind === 'refused') remark(`${outcome.image}: ${outcome.code}: ${outcome.message}`);
      else if (outcome.kind === 'result') remark(`${outcome.finding.imageKey}: ${outcome.finding.inspectionId}`);
    },
  });
}

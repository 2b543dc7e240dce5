import { openSource } from '../producer/image-source.js';
import type { Outcome } from '../producer/ingest-tally.js';
import { pollSource } from '../producer/poll-source.js';
import { type Taken, watchFolder } from '../producer/watch-folder.js';
import type { Connection } from './connection.js';
import type { Service } from './services.js';

/** Watches the folders of the configuration; undefined where it names none. @throws CONFIG_INVALID for one that is not there. */
export async function startWatching({ producer, config, logger }: Connection): Promise<Service | undefined> {
  if (config.watch.length === 0) return undefined;
  const onFile = ({ file, error }: Taken) => {
    if (error) logger.warn({ file, code: error.code }, error.message);
    else logger.info({ file }, 'taken');
  };
  const watched = await Promise.all(
    config.watch.map(({ dir: directory, ...settings }) =>
      watchFolder(producer, { directory, ...settings, logger, onFile }),
    ),
  );
  return {
    async close() {
      await Promise.all(watched.map((each) => each.close()));
    },
  };
}

/** Polls the S3 prefixes of the configuration; undefined where it names none. */
export async function startPolling({ producer, store, config, logger }: Connection): Promise<Service | undefined> {
  if (config.poll.length === 0) return undefined;
  const ending = new AbortController();
  const onOutcome = (outcome: Outcome) => {
    if (outcome.kind === 'refused') logger.warn({ image: outcome.image, code: outcome.code }, outcome.message);
  };
  const polling = config.poll.map(async ({ source: address, camera, everySeconds, sweepMinutes }) => {
    const source = await openSource(store, address, camera, config.limits);
    await pollSource(producer, source, {
      ...{ camera, logger, onOutcome, signal: ending.signal },
      everyMs: 1_000 * everySeconds,
      sweepEveryMs: 60_000 * sweepMinutes,
    });
  });
  for (const each of polling) each.catch((error: unknown) => logger.error({ err: error }, 'polling ended'));
  return {
    async close() {
      ending.abort();
      await Promise.allSettled(polling);
    },
  };
}

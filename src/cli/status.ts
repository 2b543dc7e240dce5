import { unfinishedCursors } from '../producer/cursor.js';
import { activeVersion } from '../shared/active-bundle.js';
import { listProducts } from '../shared/bundle.js';
import { stageNames } from '../shared/contracts.js';
import { shownAddress } from '../shared/redis-ping.js';
import { answer, type CommonOptions, defineCommand } from './command-line.js';
import { type Connection, withConnection } from './connection.js';

const states = ['waiting', 'prioritized', 'delayed', 'active', 'waiting-children', 'completed', 'failed'] as const;

async function readStatus({ store, queues }: Connection) {
  const stages = [];
  for (const stage of stageNames) {
    const queue = queues.queue[stage];
    stages.push({ stage, workers: await queue.getWorkersCount(), ...(await queue.getJobCounts(...states)) });
  }
  const products = [];
  for (const product of await listProducts(store)) {
    products.push({ product, bundle: await activeVersion(store, product) });
  }
  const ingests = [];
  for await (const { cursor, writtenAt } of unfinishedCursors(store)) {
    const { source, camera, kind, after, tally } = cursor;
    ingests.push({ source, camera, kind, after, images: tally.images, writtenAt });
  }
  return { store: store.url, queues: shownAddress(queues.url), stages, products, ingests };
}

type UnfinishedIngest = Awaited<ReturnType<typeof readStatus>>['ingests'][number];

/** A poll never ends; anything else is at work, or was broken off and goes on when it is run again. */
function describeIngest({
  source,
  camera,
  kind,
  after = 'the beginning',
  images,
  writtenAt,
}: UnfinishedIngest): string {
  if (kind === 'poll') return `polled: ${source} of camera ${camera}, all have results up to ${after}`;
  const moved = `last moved ${writtenAt.toISOString()}`;
  return `unfinished ${kind}: ${source} of camera ${camera}, ${images} images up to ${after}, ${moved}`;
}

export const status = defineCommand(
  'status',
  'Show the queues with their workers and jobs, and the active bundle of each product.',
  'patchline status',
).action(async (options: CommonOptions) => {
  await withConnection(options, async (connection) => {
    const found = await readStatus(connection);
    const row = (cells: (string | number)[]) =>
      cells
        .map((cell, index) =>
          String(cell)
            .padStart(index === 0 ? -1 : 17)
            .padEnd(index === 0 ? 9 : 0),
        )
        .join('');
    answer(options, found, [
      `store  ${found.store}`,
      `queues ${found.queues}`,
      row(['stage', 'workers', ...states]),
      ...found.stages.map((stage) =>
        row([stage.stage, stage.workers, ...states.map((state) => (stage as Record<string, number | string>)[state]!)]),
      ),
      ...found.products.map(({ product, bundle }) => `product ${product}: bundle ${bundle}`),
      ...found.ingests.map(describeIngest),
    ]);
  });
});

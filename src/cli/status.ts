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
  return { store: store.url, queues: shownAddress(queues.url), stages, products };
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
    ]);
  });
});

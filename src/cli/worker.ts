import { Argument } from 'commander';
import { stageNames } from '../shared/contracts.js';
import { loadClassifiers } from '../workers/load-classifiers.js';
import { loadTables } from '../workers/load-tables.js';
import { startPools } from '../workers/pools.js';
import { answer, type CommonOptions, defineCommand, remark } from './command-line.js';
import { untilAskedToEnd, withConnection } from './connection.js';
import { services, startServices } from './services.js';

export const worker = defineCommand(
  'worker',
  'Run the workers of one or more stages, or what else up runs, until SIGTERM; jobs under way are finished first.',
  'REDIS_URL=redis://localhost:6379 patchline worker score --store s3://parts/line',
)
  .addArgument(new Argument('<stage...>', 'what to run').choices([...stageNames, ...Object.keys(services)]))
  .action(async (names: string[], options: CommonOptions) => {
    await withConnection(options, async (connection) => {
      const classifiers = await loadClassifiers(connection.config);
      const tables = await loadTables(connection.config);
      const beside = await startServices(
        names.filter((name) => name in services),
        connection,
        true,
      );
      const stages = stageNames.filter((stage) => names.includes(stage));
      // Threads start with a pool: who only runs a service needs none.
      const pools = stages.length > 0 ? startPools(stages, { ...connection, classifiers, tables }) : undefined;
      answer(options, { stages: names }, []);
      remark(`working on ${names.join(', ')}`);
      await untilAskedToEnd();
      await Promise.all([beside.close(), pools?.close()]);
    });
  });

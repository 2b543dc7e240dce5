import { Argument } from 'commander';
import { type Stage, stageNames } from '../shared/contracts.js';
import { loadClassifiers } from '../workers/load-classifiers.js';
import { startPools } from '../workers/pools.js';
import { answer, type CommonOptions, defineCommand, remark } from './command-line.js';
import { untilAskedToEnd, withConnection } from './connection.js';

export const worker = defineCommand(
  'worker',
  'Run the workers of one or more stages until SIGTERM; jobs under way are finished first.',
  'REDIS_URL=redis://localhost:6379 patchline worker score --store s3://parts/line',
)
  .addArgument(new Argument('<stage...>', 'stages to run').choices(stageNames))
  .action(async (stages: Stage[], options: CommonOptions) => {
    await withConnection(options, async (connection) => {
      const classifiers = await loadClassifiers(connection.config);
      const pools = startPools(stages, { ...connection, classifiers });
      answer(options, { stages }, []);
      remark(`working on ${stages.join(', ')}`);
      await untilAskedToEnd();
      await pools.close();
    });
  });

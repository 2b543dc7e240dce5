import { Argument } from 'commander';
import { type RunnableStage, runnableStages } from '../shared/contracts.js';
import { startPools } from '../workers/pools.js';
import { answer, type CommonOptions, defineCommand, remark } from './command-line.js';
import { untilAskedToEnd, withConnection } from './connection.js';

export const worker = defineCommand(
  'worker',
  'Run the workers of one or more stages until SIGTERM; jobs under way are finished first.',
  'REDIS_URL=redis://localhost:6379 patchline worker score --store s3://parts/line',
)
  .addArgument(new Argument('<stage...>', 'stages to run').choices(runnableStages))
  .action(async (stages: RunnableStage[], options: CommonOptions) => {
    await withConnection(options, async (connection) => {
      const pools = startPools(stages, connection);
      answer(options, { stages }, []);
      remark(`working on ${stages.join(', ')}`);
      await untilAskedToEnd();
      await pools.close();
    });
  });

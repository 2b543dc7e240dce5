import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { gate, openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

describe.each(redisKinds())('live images beside a backfill, on $name', ({ open }) => {
  let redis: TestRedis;
  let line: StandInLine;
  beforeAll(async () => {
    redis = await open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
  });
  afterEach(() => line.close());

  test('find a slot though jobs of the backfill hold all of them, and go first where all wait', async () => {
    const held = gate();
    const started: string[] = [];
    line.interventions.score = async ({ imageKey, priority }) => {
      started.push(imageKey);
      if (priority > 0) await held.passed;
    };
    const old = await Promise.all(Array.from({ length: 12 }, () => line.image('good')));
    for (const inspection of old) await line.enqueue({ ...inspection, priority: 10 });
    line.start('score');
    await until('all slots to be taken', () => started.length === 4);

    for (const count of [1, 2, 3]) {
      const live = await line.image('good');
      await line.enqueue(live);
      await until('its verdict', async () => (await line.events('verdicts', live)).length === 1);
      expect(started).toHaveLength(4 + count);
    }
    held.open();
    await until('the backfill', async () => (await line.queues.queue.score.getCompletedCount()) === 15);
    expect(started).toHaveLength(15);
  });
});

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Compute, createCompute, type ThreadTask, threadTask } from '../../src/shared/compute.js';
import { PatchlineError } from '../../src/shared/errors.js';

let folder: string;
let compute: Compute;
const dist = pathToFileURL('dist/shared/').href;

/** A task whose handler is `source`, in a file of its own as real ones are. */
async function taskOf<Input, Output>(name: string, source: string): Promise<ThreadTask<Input, Output>> {
  const imports = [
    `import { inThread } from '${dist}compute.js';`,
    `import { PatchlineError } from '${dist}errors.js';`,
    `import { threadId } from 'node:worker_threads';`,
  ];
  await writeFile(join(folder, `${name}.mjs`), `${imports.join('\n')}\nexport default inThread(${source});\n`);
  return threadTask(pathToFileURL(join(folder, `${name}.mjs`)));
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-compute-'));
  compute = createCompute({ threads: 2 });
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

test('a task runs in another thread; shared memory is shared and buffers are moved both ways', async () => {
  const task = await taskOf<{ shared: Uint8Array; moved: Uint8Array }, { thread: number; back: Uint8Array }>(
    'memory',
    `async ({ shared, moved }) => {
      shared[0] = 7;
      return { thread: threadId, back: moved.map((value) => value + 1) };
    }, ({ back }) => [back.buffer]`,
  );
  const shared = new Uint8Array(new SharedArrayBuffer(1));
  const moved = Uint8Array.of(1, 2, 3);
  const { thread, back } = await compute.run(task, { shared, moved }, [moved.buffer]);
  expect(thread).toBeGreaterThan(0);
  expect([...back]).toEqual([2, 3, 4]);
  expect(shared[0]).toBe(7);
  expect(moved).toHaveLength(0);
});

test('an error keeps its class, code, message and details', async () => {
  const task = await taskOf<null, never>(
    'refuses',
    `async () => {
      throw new PatchlineError('IMAGE_UNREADABLE', 'Expected a whole image', { details: { bytes: 3 } });
    }`,
  );
  const error: unknown = await compute.run(task, null).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PatchlineError);
  expect(error).toMatchObject({ code: 'IMAGE_UNREADABLE', message: 'Expected a whole image', retryable: false });
  expect(error).toHaveProperty('details', { bytes: 3 });
});

test('any other error is thrown as it is, and the pool goes on', async () => {
  const task = await taskOf<number, number>(
    'fails',
    `async (value) => {
      if (value < 0) throw new RangeError('negative');
      return value;
    }`,
  );
  const results = await Promise.allSettled([-1, 1, -2, 2].map((value) => compute.run(task, value)));
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.message))).toEqual([
    'negative',
    1,
    'negative',
    2,
  ]);
});

test('closing waits for every task, be it running or still waiting', async () => {
  const own = createCompute({ threads: 2 });
  const task = await taskOf<number, number>(
    'busy',
    `async (rounds) => {
      let sum = 0;
      for (let i = 0; i < rounds; i++) sum += i % 7;
      return sum;
    }`,
  );
  const tasks = [14, 2e7, 14, 2e7, 14, 2e7].map((rounds) => own.run(task, rounds));
  await tasks[0];
  await own.close();
  const results = await Promise.allSettled(tasks);
  expect(results.map(({ status }) => status)).toEqual(Array(6).fill('fulfilled'));
});

test('what can wait stands behind all other tasks', async () => {
  const own = createCompute({ threads: 1 });
  const task = await taskOf<{ name: string }, string>('named', 'async ({ name }) => name');
  const order: string[] = [];
  const run = (on: Compute, name: string) => on.run(task, { name }).then((answer) => order.push(answer));
  const tasks = [
    ...[run(own, 'under way'), run(own.behind, 'behind 1'), run(own.behind, 'behind 2')],
    ...[run(own, 'first'), run(own, 'second')],
  ];
  await own.close();
  await Promise.all(tasks);
  expect(order).toEqual(['under way', 'first', 'second', 'behind 1', 'behind 2']);
});

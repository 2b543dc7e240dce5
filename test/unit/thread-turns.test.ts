import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createThreadTurns } from '../../src/shared/thread-turns.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => vi.useRealTimers());

/** Work that a test ends when it wants. */
function workLoad(threads: number) {
  const turns = createThreadTurns(threads);
  const begun = new Map<string, () => void>();
  const work = (name: string) => () =>
    new Promise<void>((end) => {
      begun.set(name, end);
    });
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    urgent: (name: string) => void turns.urgent(work(name)),
    behind: (name: string) => void turns.behind(work(name)),
    async end(name: string) {
      begun.get(name)!();
      begun.delete(name);
      await settled();
    },
    running: () => [...begun.keys()].sort(),
    begun: (name: string) => vi.waitUntil(() => begun.has(name)),
  };
}

test('what can wait uses all threads while nothing else comes, in order', async () => {
  const load = workLoad(2);
  for (const name of ['a', 'b', 'c', 'd']) load.behind(name);
  expect(load.running()).toEqual(['a', 'b']);
  await load.end('b');
  expect(load.running()).toEqual(['a', 'c']);
  await load.end('c');
  expect(load.running()).toEqual(['a', 'd']);
});

test('urgent work begins at once; from then on a thread is left free for it, for a while', async () => {
  const load = workLoad(2);
  for (const name of ['a', 'b', 'c', 'd', 'e']) load.behind(name);
  load.urgent('live');
  expect(load.running()).toEqual(['a', 'b', 'live']);
  await load.end('live');
  await load.end('a');
  expect(load.running()).toEqual(['b']);
  await load.end('b');
  await load.begun('c');
  expect(load.running()).toEqual(['c']);
  vi.advanceTimersByTime(31_000);
  await load.end('c');
  expect(load.running()).toEqual(['d', 'e']);
});

test('a single thread is not left free, but urgent work goes first', async () => {
  const load = workLoad(1);
  load.behind('a');
  load.behind('b');
  load.urgent('live');
  await load.end('a');
  expect(load.running()).toEqual(['live']);
  await load.end('live');
  await load.begun('b');
  expect(load.running()).toEqual(['b']);
});

test('with few threads it rests as long as it worked while urgent work is expected', async () => {
  const load = workLoad(2);
  load.urgent('live');
  await load.end('live');
  load.behind('a');
  load.behind('b');
  expect(load.running()).toEqual(['a']);
  vi.advanceTimersByTime(60);
  await load.end('a');
  expect(load.running()).toEqual([]);
  await load.begun('b');
  const many = workLoad(4);
  many.urgent('live');
  await many.end('live');
  for (const name of ['a', 'b', 'c', 'd']) many.behind(name);
  vi.advanceTimersByTime(60);
  await many.end('a');
  expect(many.running()).toEqual(['b', 'c', 'd']);
});

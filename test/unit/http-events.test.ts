import { expect, test } from 'vitest';
import type { HttpContext } from '../../src/producer/http/context.js';
import type { StreamEntry } from '../../src/producer/http/event-feed.js';
import { eventText } from '../../src/producer/http/events.js';
import { createLogger } from '../../src/shared/logger.js';
import { eventOfResult } from '../../src/shared/results.js';
import { scoredResult } from '../helpers/scored-result.js';

/** A stream that both the feed and Redis tell of, as far as the server's events need it. */
function openStream() {
  const entries: StreamEntry[] = [];
  let listener: ((entry: StreamEntry) => void) | undefined;
  const ending = new AbortController();
  const xrange = async (_key: string, from: string) => {
    const after = Number(from.slice(1).split('-')[0]);
    const page = entries.filter(({ id }) => Number(id.split('-')[0]) > after).slice(0, 1_000);
    return page.map(({ id, event }) => [id, ['event', JSON.stringify(event)]]);
  };
  const context = {
    feed: {
      lastId: () => entries.at(-1)?.id ?? '0',
      subscribe(_stream: string, told: typeof listener) {
        listener = told;
        return () => {
          listener = undefined;
        };
      },
    },
    producer: { queues: { redis: { xrange }, config: { prefix: 'test' } } },
    logger: createLogger('silent'),
    ending: ending.signal,
  } as unknown as HttpContext;
  return {
    context,
    end: () => ending.abort(),
    isHeard: () => listener !== undefined,
    tell(count: number) {
      for (let i = 0; i < count; i++) {
        const entry = { id: `${entries.length + 1}-0`, event: eventOfResult(scoredResult) };
        entries.push(entry);
        listener?.(entry);
      }
    },
  };
}

/** The ids of the next events, and of all others that come before the stream ends after them. */
async function idsOf(text: AsyncGenerator<string>, count: number, end: () => void): Promise<number[]> {
  const ids: number[] = [];
  for await (const part of text) {
    for (const [, id] of part.matchAll(/^id: (\d+)-0\ndata/gm)) ids.push(Number(id));
    if (ids.length === count) end();
  }
  return ids;
}

/** Whether these are `count` numbers in a row: one line where they are not, whatever their number. */
function expectRow(ids: number[], first: number, count: number): void {
  const wrong = ids.findIndex((id, i) => id !== first + i);
  expect([ids.length, wrong]).toEqual([count, -1]);
}

test.each([1, 1_000, 1_001, 5_000])(
  '%d events that come while a client takes none reach it, each once',
  async (count) => {
    const stream = openStream();
    stream.tell(3);
    const text = eventText(stream.context, { stream: 'results' }, undefined);
    expect((await text.next()).value).toBe('retry: 1000\nid: 3-0\n\n');
    stream.tell(count);
    expectRow(await idsOf(text, count, stream.end), 4, count);
    expect(stream.isHeard()).toBe(false);
  },
);

test('events that come while the past is read follow it, each once', async () => {
  const stream = openStream();
  stream.tell(2_500);
  const text = eventText(stream.context, { stream: 'results' }, '100-0');
  await text.next();
  stream.tell(10);
  const first = (await text.next()).value!;
  expect(first).toMatch(/^id: 101-0\n/);
  stream.tell(500);
  expectRow(await idsOf(text, 2_909, stream.end), 102, 2_909);
});

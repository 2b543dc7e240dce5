import type { Redis } from 'ioredis';

/** What a Redis stream knows of one consumer group. Ids are `<milliseconds>-<sequence>`. */

/** The consumer group of a sink on each stream that it takes. */
export const groupOf = (sink: string): string => `sink-${sink}`;

export interface StreamEntry {
  stream: string;
  id: string;
  /** undefined where an entry has no such field. */
  event: string | undefined;
}

/** How far a group is in a stream. */
export interface GroupState {
  lastDelivered: string;
  /** Delivered to a consumer, but not acknowledged. */
  pending: number;
  /** Entries that wait; null where Redis cannot tell. */
  waiting: number | null;
}

/** Entries that a stream dropped before the group had read them: it lacks what came after `from` and before `until`. */
export interface Trimmed {
  stream: string;
  from: string;
  until: string;
}

export const noId = '0-0';
/** Milliseconds since 1970 on the clock of Redis. */
export const timeOf = (id: string): number => Number(id.split('-')[0]);
export function isBefore(one: string, other: string): boolean {
  const sequence = (id: string) => Number(id.split('-')[1]);
  return timeOf(one) === timeOf(other) ? sequence(one) < sequence(other) : timeOf(one) < timeOf(other);
}

/** Redis answers with names and values in turn. */
function byName(flat: unknown): Record<string, unknown> {
  const list = flat as unknown[];
  return Object.fromEntries(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]]] : [])));
}

function stateIn(groups: unknown, group: string): GroupState | undefined {
  const found = (groups as unknown[]).map(byName).find(({ name }) => name === group);
  return (
    found && {
      lastDelivered: found['last-delivered-id'] as string,
      pending: found.pending as number,
      waiting: (found.lag as number | null | undefined) ?? null,
    }
  );
}

/** undefined where there is no such group, or no stream. */
export async function groupState(redis: Redis, stream: string, group: string): Promise<GroupState | undefined> {
  if ((await redis.exists(stream)) === 0) return undefined;
  return stateIn(await redis.xinfo('GROUPS', stream), group);
}

/** Makes a group unless it is there; the stream, too. */
export async function createGroup(redis: Redis, stream: string, group: string, start: string): Promise<void> {
  try {
    await redis.xgroup('CREATE', stream, group, start, 'MKSTREAM');
  } catch (error) {
    if (!(error as Error).message.startsWith('BUSYGROUP')) throw error;
  }
}

type Entries = [id: string, fields: string[] | null][];

const entriesOf = (stream: string, entries: Entries): StreamEntry[] =>
  entries.map(([id, fields]) => ({
    stream,
    id,
    event: fields ? (byName(fields).event as string | undefined) : undefined,
  }));

/**
 * The next entries of each stream, without waiting for any, and what was trimmed before them: looked at in one transaction, since
 * a group that is as far behind as its stream is long would skip what goes between two looks. @throws NOGROUP
 */
export async function readNew(
  redis: Redis,
  streams: string[],
  { group, consumer, count }: { group: string; consumer: string; count: number },
): Promise<{ entries: StreamEntry[]; trimmed: Trimmed[] }> {
  const transaction = redis.multi();
  for (const stream of streams) transaction.xinfo('GROUPS', stream).xrange(stream, '-', '+', 'COUNT', 1);
  transaction.xreadgroup('GROUP', group, consumer, 'COUNT', count, 'STREAMS', ...streams, ...streams.map(() => '>'));
  const answers = (await transaction.exec())!.map(([error, answer]) => {
    if (error) throw error;
    return answer;
  });
  const trimmed = streams.flatMap((stream, at) => {
    const from = stateIn(answers[2 * at], group)?.lastDelivered ?? noId;
    const until = (answers[2 * at + 1] as Entries)[0]?.[0];
    return from !== noId && until !== undefined && isBefore(from, until) ? [{ stream, from, until }] : [];
  });
  const read = (answers.at(-1) as [string, Entries][] | null) ?? [];
  return { entries: read.flatMap(([stream, entries]) => entriesOf(stream, entries)), trimmed };
}

/** Waits for an entry: for use where nothing was left to read. */
export async function waitForNew(
  redis: Redis,
  streams: string[],
  { group, consumer, count, blockMs }: { group: string; consumer: string; count: number; blockMs: number },
): Promise<StreamEntry[]> {
  const start = streams.map(() => '>');
  const read = (await redis.xreadgroup(
    'GROUP',
    group,
    consumer,
    'COUNT',
    count,
    'BLOCK',
    blockMs,
    'STREAMS',
    ...streams,
    ...start,
  )) as [string, Entries][] | null;
  return (read ?? []).flatMap(([stream, entries]) => entriesOf(stream, entries));
}

/** Takes over what consumers left unacknowledged for `idleMs`: their processes are gone. `lost` are ids that the stream has dropped since. */
export async function takeOver(
  redis: Redis,
  stream: string,
  { group, consumer, idleMs, count }: { group: string; consumer: string; idleMs: number; count: number },
): Promise<{ entries: StreamEntry[]; lost: string[] }> {
  const entries: StreamEntry[] = [];
  const lost: string[] = [];
  let cursor = noId;
  do {
    const answer = await redis.xautoclaim(stream, group, consumer, idleMs, cursor, 'COUNT', count);
    const [next, found, gone = []] = answer as [string, Entries, string[]?];
    entries.push(...entriesOf(stream, found));
    lost.push(...gone);
    cursor = next;
  } while (cursor !== noId && entries.length === 0);
  return { entries, lost };
}

/** The entries that a consumer has not acknowledged. */
export async function unacknowledged(redis: Redis, stream: string, group: string, consumer: string): Promise<string[]> {
  return ((await redis.xpending(stream, group, '-', '+', 10_000, consumer)) as [string][]).map(([id]) => id);
}

/**
 * Says that a consumer still works on entries, or with `idleMs` that anyone may take them over. Left alone are entries that the
 * stream has dropped: Redis would forget that they were not acknowledged.
 */
export async function touch(
  redis: Redis,
  stream: string,
  { group, consumer, ids, idleMs = 0 }: { group: string; consumer: string; ids: string[]; idleMs?: number },
): Promise<void> {
  if (ids.length > 0) await redis.eval(touchScript, 1, stream, group, consumer, idleMs, ...ids);
}

const touchScript = `
for at = 4, #ARGV do
  if #redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at]) > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[at], 'IDLE', ARGV[3], 'JUSTID')
  end
end`;

/** The id up to which everything has been acknowledged. */
export async function acknowledgedUpTo(redis: Redis, stream: string, group: string): Promise<string | undefined> {
  const state = await groupState(redis, stream, group);
  if (!state || state.pending === 0) return state?.lastDelivered;
  const [, oldest] = (await redis.xpending(stream, group)) as [number, string | null];
  return oldest ?? state.lastDelivered;
}

/** Forgets consumers that hold nothing and have not been seen for a time: one script, since they may come back in between. */
export async function forgetConsumers(redis: Redis, stream: string, group: string, unseenMs: number): Promise<void> {
  await redis.eval(forgetScript, 1, stream, group, unseenMs);
}

const forgetScript = `
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if consumer[4] == 0 and consumer[6] > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer[2])
  end
end`;

import { z } from 'zod';
import { namePattern, sha256 } from '../shared/keys.js';
import { getJson, listAll, type ObjectStore, putJson } from '../shared/store/object-store.js';
import { backfillPriority } from './enqueue.js';
import { emptyTally, tallySchema } from './ingest-tally.js';

const instant = z.iso.datetime();

/** How far an ingest has come: an object in the store, since Redis may be lost. */
const cursorSchema = z.strictObject({
  schema: z.literal(1),
  /** s3://bucket/prefix, or a path. */
  source: z.string(),
  camera: z.string().regex(namePattern),
  /** A backfill yields to live images; a poll never ends. */
  kind: z.enum(['ingest', 'backfill', 'poll']),
  times: z.enum(['metadata', 'modified']),
  byReference: z.boolean(),
  /** The last key before which every image has a result; absent at the beginning. */
  after: z.string().optional(),
  /** No image behind this key has been enqueued; written before they are. */
  upTo: z.string().optional(),
  startedAt: instant,
  /** Absent while something is left to do. */
  finishedAt: instant.optional(),
  /** Everything has been listed and enqueued: only results are missing. */
  enqueuedAll: z.boolean(),
  /** Of a poll: when it last began from the first key, and that of the time before, up to which nothing is missing. */
  passStartedAt: instant.optional(),
  seenUntil: instant.optional(),
  /** How often it went on after it was broken off. */
  resumed: z.number().int().min(0),
  /** Time at work, without breaks. */
  activeMs: z.number().min(0),
  tally: tallySchema,
});
export type Cursor = z.infer<typeof cursorSchema>;
export type IngestKind = Cursor['kind'];

export const priorityOf = (kind: IngestKind): number => (kind === 'backfill' ? backfillPriority : 0);

/** Clocks of servers differ, and an object may show up a while after the time that it bears. */
const lateMs = 900_000;

/** Whether an image may have come after everything up to then was listed and got its result. */
export const isUnseen = ({ seenUntil }: Pick<Cursor, 'seenUntil'>, { modifiedAt }: { modifiedAt: Date }): boolean =>
  seenUntil === undefined || modifiedAt.getTime() >= Date.parse(seenUntil) - lateMs;

const cursorKey = ({ source, camera, kind }: Pick<Cursor, 'source' | 'camera' | 'kind'>): string =>
  `cursors/${sha256([source, camera, kind].join('\n'))}.json`;

export function newCursor(head: Pick<Cursor, 'source' | 'camera' | 'kind' | 'times' | 'byReference'>): Cursor {
  const startedAt = new Date().toISOString();
  return { schema: 1, ...head, startedAt, enqueuedAll: false, resumed: 0, activeMs: 0, tally: emptyTally() };
}

/** The cursor that an earlier run left, finished or not. */
export async function readCursor(
  store: ObjectStore,
  named: Pick<Cursor, 'source' | 'camera' | 'kind'>,
): Promise<Cursor | undefined> {
  const value = await getJson(store, cursorKey(named));
  return value === undefined ? undefined : cursorSchema.parse(value);
}

export const writeCursor = (store: ObjectStore, cursor: Cursor): Promise<void> =>
  putJson(store, cursorKey(cursor), cursor);

/** The cursors of ingests that somebody has yet to finish, and when each was last written. */
export async function* unfinishedCursors(store: ObjectStore): AsyncGenerator<{ cursor: Cursor; writtenAt: Date }> {
  for await (const { key, modifiedAt } of listAll(store, 'cursors/')) {
    const value = await getJson(store, key);
    if (value === undefined) continue;
    const cursor = cursorSchema.parse(value);
    if (cursor.finishedAt === undefined) yield { cursor, writtenAt: modifiedAt };
  }
}

export interface CursorKeeper {
  /** Writes the cursor within a second. */
  soon(): void;
  /** Writes it as it stands now. */
  now(): Promise<void>;
  /** Writes nothing more on its own. */
  stop(): void;
}

/** Writes a cursor that is being moved, one put after the other; what fails in between is tried again a second later. */
export function keepCursor(store: ObjectStore, cursor: Cursor, onFault: (error: unknown) => void): CursorKeeper {
  let writing = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const openedAt = performance.now();
  const activeBefore = cursor.activeMs;
  const write = () => {
    cursor.activeMs = Math.round(activeBefore + performance.now() - openedAt);
    return writeCursor(store, cursor);
  };
  const now = () => {
    const written = writing.then(write);
    writing = written.catch(() => undefined);
    return written;
  };
  const soon = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      now().catch((error: unknown) => {
        onFault(error);
        soon();
      });
    }, 1_000);
  };
  return { soon, now, stop: () => clearTimeout(timer) };
}

import { z } from 'zod';
import { getJson, listAll, type ObjectStore, putJson } from '../shared/store/object-store.js';
import { readableEventSchema, type SinkMessage } from './message.js';

/** An event that a receiver refused. Kept in the store, where it outlives Redis, until it is delivered or dropped. */
const failedEventSchema = z.strictObject({
  delivery: z.string(),
  kind: z.enum(['verdict', 'result']),
  event: readableEventSchema,
  reason: z.string(),
  failedAt: z.iso.datetime(),
});
export type FailedEvent = z.infer<typeof failedEventSchema>;

const folderOf = (sink: string): string => `sinks/${sink}/failed/`;
const keyOf = (sink: string, delivery: string): string => `${folderOf(sink)}${delivery}.json`;

export function putFailed(store: ObjectStore, sink: string, message: SinkMessage, reason: string): Promise<void> {
  const failed: FailedEvent = { ...message, reason, failedAt: new Date().toISOString() };
  return putJson(store, keyOf(sink, message.delivery), failed);
}

export const dropFailed = (store: ObjectStore, sink: string, delivery: string): Promise<void> =>
  store.delete(keyOf(sink, delivery));

export async function getFailed(store: ObjectStore, sink: string, delivery: string): Promise<FailedEvent | undefined> {
  const found = await getJson(store, keyOf(sink, delivery));
  return found === undefined ? undefined : failedEventSchema.parse(found);
}

/** The deliveries on a sink's failed list. */
export async function* listFailed(store: ObjectStore, sink: string): AsyncGenerator<string> {
  for await (const { key } of listAll(store, folderOf(sink))) yield key.slice(folderOf(sink).length, -'.json'.length);
}

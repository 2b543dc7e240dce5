import { z } from 'zod';
import { getJson, listAll, type ObjectStore, putJson } from '../shared/store/object-store.js';

/**
 * A time whose events a sink could not read from a stream, which had dropped them or was lost together with Redis. It is written to
 * the store before anything else is done about it, and deleted when the results of that time have been delivered.
 */
const gapSchema = z.strictObject({
  stream: z.enum(['verdicts', 'results']),
  fromMs: z.number(),
  untilMs: z.number(),
});
export type Gap = z.infer<typeof gapSchema>;

const folderOf = (sink: string): string => `sinks/${sink}/gaps/`;
const keyOf = (sink: string, { stream, fromMs, untilMs }: Gap): string =>
  `${folderOf(sink)}${stream}-${fromMs}-${untilMs}.json`;

export const putGap = (store: ObjectStore, sink: string, gap: Gap): Promise<void> =>
  putJson(store, keyOf(sink, gap), gap);

export const deleteGap = (store: ObjectStore, sink: string, gap: Gap): Promise<void> => store.delete(keyOf(sink, gap));

export async function listGaps(store: ObjectStore, sink: string): Promise<Gap[]> {
  const gaps: Gap[] = [];
  for await (const { key } of listAll(store, folderOf(sink))) {
    const gap = await getJson(store, key);
    if (gap !== undefined) gaps.push(gapSchema.parse(gap)); // another process may have closed it meanwhile
  }
  return gaps;
}

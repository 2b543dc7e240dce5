import { z } from 'zod';
import { type InspectionEvent, inspectionEventSchema } from '../shared/contracts.js';
import { sha256 } from '../shared/keys.js';
import type { EventStream } from '../shared/queues.js';
import type { SinkFilter } from '../shared/sink-settings.js';

export type Kind = 'verdict' | 'result';
export const kindOf = { verdicts: 'verdict', results: 'result' } as const satisfies Record<EventStream, Kind>;

/** What a receiver is told. */
export interface SinkMessage {
  /** The same for the same content, however often it is told: what a receiver dedupes by. */
  delivery: string;
  kind: Kind;
  event: InspectionEvent;
}

export function messageOf(kind: Kind, event: InspectionEvent): SinkMessage {
  return { delivery: `${event.inspectionId}-${kind}-${sha256(JSON.stringify(event)).slice(0, 8)}`, kind, event };
}

/** What a later version may have added to an event goes through. */
export const readableEventSchema = z.looseObject(inspectionEventSchema.shape);

/** The message of a stream's entry. @throws ZodError, SyntaxError */
export const parseMessage = (stream: EventStream, text: string): SinkMessage =>
  messageOf(kindOf[stream], readableEventSchema.parse(JSON.parse(text)));

/** The JSON that every kind of sink sends. */
export const bodyOf = ({ delivery, kind, event }: SinkMessage): string => JSON.stringify({ delivery, kind, ...event });

export const outcomeOf = ({ verdict }: InspectionEvent) => verdict ?? 'failed';

export function passes({ product, camera, outcome }: SinkFilter, event: InspectionEvent): boolean {
  return (
    (product?.includes(event.product) ?? true) &&
    (camera === undefined || (event.camera !== null && camera.includes(event.camera))) &&
    (outcome?.includes(outcomeOf(event)) ?? true)
  );
}

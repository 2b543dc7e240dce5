import { Readable } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { type InspectionEvent, inspectionSchema } from '../../shared/contracts.js';
import type { EventStream } from '../../shared/queues.js';
import type { HttpContext } from './context.js';
import { type EventFeed, isAfter, pastEntries, type StreamEntry } from './event-feed.js';
import { problems } from './problems.js';

/** A comment after this time without an event keeps the connection from being taken for dead. */
const heartbeatMs = 15_000;
/** Events that wait for a client in memory; one that is further behind gets them from Redis. */
const maxPending = 1_000;
/** A client that takes nothing for so long is dropped; it may come again and resume. */
const stalledMs = 30_000;

const { product, camera } = inspectionSchema.shape;
const querySchema = z.strictObject({
  stream: z.enum(['verdicts', 'results']).default('verdicts'),
  product: product.optional(),
  camera: camera.unwrap().optional(),
});
type EventQuery = z.infer<typeof querySchema>;

export const eventRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, context) => {
  const schema = {
    operationId: 'getEvents',
    summary: 'Verdicts or results as server-sent events, as they come',
    description:
      'The data of each event is JSON. Delivered at least once: dedupe by inspectionId. With Last-Event-ID those that came since are told first.',
    querystring: querySchema,
    headers: z.looseObject({
      'last-event-id': z
        .string()
        .regex(/^\d+(-\d+)?$/)
        .optional(),
    }),
    response: {
      200: {
        description: 'Events without an end',
        content: { 'text/event-stream': { schema: z.any().describe('`id` and `data` of each event') } },
      },
      ...problems(),
    },
  };
  app.get('/v1/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    const text = eventText(context, request.query, request.headers['last-event-id']);
    const stream = Readable.from(text, { objectMode: false });
    dropStalled(request, stream);
    reply.header('Cache-Control', 'no-cache').header('X-Accel-Buffering', 'no').type('text/event-stream');
    return reply.send(stream);
  });
};

function dropStalled({ raw: { socket }, log }: FastifyRequest, stream: Readable): void {
  let sent = -1;
  const watch = setInterval(() => {
    if (socket.writableLength > 0 && socket.bytesWritten === sent) {
      log.warn('a client does not take its events and is dropped');
      stream.destroy();
    }
    sent = socket.bytesWritten;
  }, stalledMs);
  stream.once('close', () => clearInterval(watch));
}

/** The events as text: first those after `lastEventId`, where there is one, then as they come, until the server ends. */
export async function* eventText(
  { feed, producer: { queues }, logger, ending }: HttpContext,
  query: EventQuery,
  lastEventId: string | undefined,
): AsyncGenerator<string> {
  const inbox = openInbox(feed, query.stream, ending);
  let last = lastEventId ?? feed.lastId(query.stream);
  const textOfNew = ({ id, event }: StreamEntry): string => {
    if (!isAfter(id, last)) return '';
    last = id;
    return isWanted(event, query) ? `id: ${id}\ndata: ${JSON.stringify(event)}\n\n` : '';
  };
  try {
    yield `retry: 1000\nid: ${last}\n\n`; // no event, but where a client resumes that has not seen one
    let isBehind = lastEventId !== undefined;
    for (;;) {
      const past = isBehind ? pastEntries(queues, query.stream, last, logger) : [];
      for await (const entry of past) {
        if (ending.aborted) return;
        yield textOfNew(entry);
      }
      // what came meanwhile is here
      const { entries, overflowed } = inbox.take();
      for (const entry of entries) yield textOfNew(entry);
      isBehind = overflowed;
      if (isBehind || entries.length > 0) continue;
      if (ending.aborted) return;
      if (!(await inbox.arrival(heartbeatMs))) yield ':\n\n';
    }
  } finally {
    inbox.close();
  }
}

/** Keeps the entries of a stream for one client; where they become too many, none, and says so. */
function openInbox(feed: EventFeed, stream: EventStream, ending: AbortSignal) {
  let entries: StreamEntry[] = [];
  let overflowed = false;
  let wake = () => {};
  const onEnding = () => wake();
  ending.addEventListener('abort', onEnding);
  const unsubscribe = feed.subscribe(stream, (entry) => {
    if (!overflowed) entries.push(entry);
    if (entries.length > maxPending) {
      entries = [];
      overflowed = true;
    }
    wake();
  });
  return {
    take() {
      const taken = { entries, overflowed };
      entries = [];
      overflowed = false;
      return taken;
    },
    /** Whether something came, or the server ends, within `ms`. */
    arrival: (ms: number): Promise<boolean> =>
      new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), ms);
        wake = () => {
          clearTimeout(timer);
          resolve(true);
        };
      }),
    close() {
      ending.removeEventListener('abort', onEnding);
      unsubscribe();
    },
  };
}

const isWanted = (event: InspectionEvent, { product, camera }: EventQuery): boolean =>
  (product === undefined || event.product === product) && (camera === undefined || event.camera === camera);

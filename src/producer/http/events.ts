import { Readable } from 'node:stream';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { inspectionSchema } from '../../shared/contracts.js';
import type { HttpContext } from './context.js';
import { isAfter, pastEntries, type StreamEntry } from './event-feed.js';
import { problems } from './problems.js';

/** A comment after this time without an event keeps the connection from being taken for dead. */
const heartbeatMs = 15_000;
/** Events that may wait for a client; one that is slower is dropped and may resume. */
const maxPending = 1_000;

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
    const drop = () => {
      request.log.warn('a client reads events too slowly and is dropped');
      stream.destroy();
    };
    const text = eventText(context, request.query, request.headers['last-event-id'], drop);
    const stream: Readable = Readable.from(text, { objectMode: false });
    reply.header('Cache-Control', 'no-cache').header('X-Accel-Buffering', 'no').type('text/event-stream');
    return reply.send(stream);
  });
};

/** The events as text: first those after `lastEventId`, where there is one, then as they come, until the server ends. */
async function* eventText(
  { feed, producer: { queues }, logger, ending }: HttpContext,
  query: EventQuery,
  lastEventId: string | undefined,
  drop: () => void,
): AsyncGenerator<string> {
  const pending: StreamEntry[] = [];
  let wake = () => {};
  const onEnding = () => wake();
  const arrival = () =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, heartbeatMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  // Before the past is read: what comes meanwhile is told after it.
  const unsubscribe = feed.subscribe(query.stream, (entry) => {
    if (pending.push(entry) > maxPending) drop();
    wake();
  });
  ending.addEventListener('abort', onEnding);
  try {
    let last = lastEventId ?? feed.lastId(query.stream);
    yield `retry: 1000\nid: ${last}\n\n`; // no event, but where a client resumes that has not seen one
    if (lastEventId !== undefined) {
      for await (const entry of pastEntries(queues, query.stream, last, logger)) {
        last = entry.id;
        if (isWanted(entry, query)) yield textOf(entry);
      }
    }
    for (;;) {
      for (const entry of pending.splice(0)) {
        if (isWanted(entry, query) && isAfter(entry.id, last)) yield textOf(entry);
      }
      if (ending.aborted) return;
      if (pending.length > 0) continue;
      await arrival();
      if (pending.length === 0 && !ending.aborted) yield ':\n\n';
    }
  } finally {
    ending.removeEventListener('abort', onEnding);
    unsubscribe();
  }
}

const isWanted = ({ event }: StreamEntry, { product, camera }: EventQuery): boolean =>
  (product === undefined || event.product === product) && (camera === undefined || event.camera === camera);

const textOf = ({ id, event }: StreamEntry): string => `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`;

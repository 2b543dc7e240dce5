import type { IncomingMessage } from 'node:http';
import multipart from '@fastify/multipart';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { PatchlineError } from '../../shared/errors.js';
import { acceptedSchema, inspectedSchema, judgedSchema } from '../../shared/http-api.js';
import { storeCapture } from '../captures.js';
import { enqueue } from '../enqueue.js';
import { type Answered, awaitAnswer } from './answer.js';
import type { HttpContext } from './context.js';
import { problems } from './problems.js';
import { imageHeaders, imageParameters, readBytes, readSentImage } from './sent-image.js';

const seconds = z
  .string()
  .regex(/^\d+(\.\d+)?$/)
  .transform(Number)
  .pipe(z.number().max(120));

const querySchema = z.strictObject({
  ...z.object(imageParameters).partial().shape,
  wait: z.enum(['verdict', 'result']).optional().describe('Answer with the verdict, or with the whole result'),
  timeout: seconds.optional().describe('Seconds to wait, at most 120; then the answer is that of no wait. Default 30'),
});

const binary = { type: 'string', format: 'binary' };
/** What the OpenAPI document says of the body, which is no JSON. */
const requestBody = {
  'image/*': { schema: binary },
  'application/octet-stream': { schema: binary },
  'multipart/form-data': {
    schema: {
      type: 'object',
      properties: {
        image: binary,
        ...Object.fromEntries(Object.keys(imageParameters).map((name) => [name, { type: 'string' }])),
      },
      required: ['image'],
    },
  },
};

const schema = {
  operationId: 'postImage',
  summary: 'Take in an image and inspect it',
  description:
    'The image is the body, or the field `image` of a form. The same bytes of a camera on the same day are the same inspection.',
  querystring: querySchema,
  headers: z.looseObject(imageHeaders),
  response: {
    200: z
      .union([judgedSchema, inspectedSchema, acceptedSchema])
      .describe('The verdict or the result that was waited for; without a wait, an inspection that has its result'),
    202: acceptedSchema.describe('Taken in; what was waited for has not come in time'),
    ...problems(413, 415, 422, 429),
  },
};

export const imageRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, context) => {
  const { producer, backlog } = context;
  const { maxImageBytes } = producer.config.limits;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^(image\/|application\/octet-stream)/, (_request: FastifyRequest, body: IncomingMessage) =>
    readBytes(body, maxImageBytes),
  );
  await app.register(multipart);

  /** Before the body is read: no image is taken in that could not be inspected soon. */
  async function admit(): Promise<void> {
    if (producer.queues.redis.status !== 'ready') {
      throw new PatchlineError('QUEUE_UNREACHABLE', 'Expected Redis to answer but it does not', { retryable: true });
    }
    await backlog.admit();
  }
  app.post('/v1/images', { onRequest: admit, schema, config: { requestBody } }, async (request, reply) => {
    const { wait, timeout = 30 } = request.query;
    const { original, captureId } = await readSentImage(request, maxImageBytes);
    const inspection = await storeCapture(producer, original, captureId);
    const { inspectionId, imageKey } = inspection;
    const start = () => enqueue(producer, inspection, false);
    reply.header('Location', `/v1/inspections/${inspectionId}`);
    const { outcome, answer }: Answered = wait
      ? await whileConnected(reply, timeout * 1_000, context.ending, (signal) =>
          awaitAnswer(context, { inspectionId, wait }, start, signal),
        )
      : { outcome: await start() };
    if (answer) return reply.send({ ...answer, outcome });
    return reply.code(outcome === 'finished' ? 200 : 202).send({ inspectionId, imageKey, outcome });
  });
};

/** Time that who waits still gets when the server ends. */
const endingGraceMs = 5_000;

/** Does something that is to end with the client's connection, after a time, or soon after the server was asked to end. */
async function whileConnected<T>(
  reply: FastifyReply,
  timeoutMs: number,
  ending: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const waiting = new AbortController();
  const end = () => waiting.abort();
  const timers = [setTimeout(end, timeoutMs)];
  const endSoon = () => timers.push(setTimeout(end, endingGraceMs));
  reply.raw.once('close', end);
  ending.addEventListener('abort', endSoon);
  try {
    return await work(waiting.signal);
  } finally {
    ending.removeEventListener('abort', endSoon);
    for (const timer of timers) clearTimeout(timer);
  }
}

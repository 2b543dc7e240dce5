import { createHash, timingSafeEqual } from 'node:crypto';
import swagger from '@fastify/swagger';
import fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest } from 'fastify';
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';
import type { Config } from '../../shared/config.js';
import { messageOf, PatchlineError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import type { Producer } from '../enqueue.js';
import { artefactRoutes } from './artefacts.js';
import { createBacklog } from './backlog.js';
import type { HttpContext } from './context.js';
import { openEventFeed } from './event-feed.js';
import { eventRoutes } from './events.js';
import { healthRoutes } from './health.js';
import { imageRoutes } from './images.js';
import { inspectionRoutes } from './inspections.js';
import { answerError, problem } from './problems.js';
import { reviewRoutes } from './reviews.js';

/** Requests under way get this long when the server ends. */
const endingLimitMs = 30_000;
/** A request must have been received whole by then. */
const receivingLimitMs = 300_000;
/** Anyone may ask for these. */
const openPaths = ['/v1/health', '/v1/ready'];

export interface HttpServer {
  /** http://host:port */
  url: string;
  /** Ends event streams, waits for requests under way and answers new ones with 503 meanwhile. */
  close(): Promise<void>;
}

/**
 * Serves the HTTP API until it is closed.
 *
 * @throws CONFIG_INVALID where it would be open to other machines without a token, ADDRESS_UNAVAILABLE
 */
export async function startHttpServer(
  { producer, logger }: { producer: Producer; logger: Logger },
  { port, host, token }: Omit<Config['serve'], 'port'> & { port: number },
): Promise<HttpServer> {
  assertGuarded(host, token);
  await producer.queues.redis.ping();
  const feed = await openEventFeed(producer.queues, logger);
  const ending = new AbortController();
  const context = { producer, logger, feed, backlog: createBacklog(producer), ending: ending.signal };
  const app = await createApp(context, token);
  const close = async () => {
    ending.abort();
    await app.close();
    await feed.close();
  };
  try {
    return { url: await listen(app, port, host), close };
  } catch (error) {
    await close();
    throw error;
  }
}

const loopback = /^(127(\.\d{1,3}){3}|::1|localhost)$/;

function assertGuarded(host: string, token: string | null): void {
  if (token !== null || loopback.test(host)) return;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected a token for an HTTP server at ${host}, which other machines reach: set PATCHLINE_SERVE_TOKEN or serve.token, or listen at 127.0.0.1`,
  );
}

async function listen(app: FastifyInstance, port: number, host: string): Promise<string> {
  try {
    return await app.listen({ port, host });
  } catch (error) {
    throw new PatchlineError('ADDRESS_UNAVAILABLE', `Expected to listen at ${host}:${port}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function createApp(context: HttpContext, token: string | null): Promise<FastifyInstance> {
  const loggerInstance: FastifyBaseLogger = context.logger;
  const app = fastify({
    loggerInstance,
    return503OnClosing: false, // `endWithRequests` answers
    forceCloseConnections: true, // after that: clients hold connections open that they have not used yet
    requestTimeout: receivingLimitMs,
    pluginTimeout: 0, // it would hold for closing too
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data)); // the schemas of answers are for the document alone
  app.setErrorHandler(answerError);
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send(problem('REQUEST_INVALID', `Expected an address of the API but received ${request.url}`)),
  );
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'patchline', version: '1', description: 'Inspects images of manufactured parts.' },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: token === null ? [] : [{ token: [] }],
    },
    transform(route) {
      const described = jsonSchemaTransform(route);
      const content = route.route.config?.requestBody;
      return content ? { ...described, schema: { ...described.schema, body: { content } } } : described;
    },
  });
  endWithRequests(app, context.ending);
  if (token !== null) requireToken(app, token);
  app.addHook('onSend', async (_request, reply) => void reply.header('X-Content-Type-Options', 'nosniff'));
  for (const routes of [imageRoutes, inspectionRoutes, reviewRoutes, artefactRoutes, eventRoutes, healthRoutes]) {
    await app.register(routes, context);
  }
  app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  await app.ready();
  return app;
}

/** Keeps the server listening while requests are under way after it was asked to end, so that new ones get an answer. */
function endWithRequests(app: FastifyInstance, ending: AbortSignal): void {
  const underWay = new Set<FastifyRequest>();
  let onEmpty = () => {};
  app.addHook('onRequest', async (request, reply) => {
    if (ending.aborted) throw new PatchlineError('SERVER_ENDING', 'The server is ending', { retryable: true });
    underWay.add(request);
    // not onResponse, which does not come where a request broke off
    reply.raw.once('close', () => {
      underWay.delete(request);
      if (underWay.size === 0) onEmpty();
    });
  });
  app.addHook('preClose', async () => {
    if (underWay.size === 0) return;
    await new Promise<void>((resolve) => {
      onEmpty = resolve;
      setTimeout(resolve, endingLimitMs).unref();
    });
  });
}

function requireToken(app: FastifyInstance, token: string): void {
  const digest = (text: string) => createHash('sha256').update(text).digest(); // equally long, which timingSafeEqual wants
  const expected = digest(`Bearer ${token}`);
  app.addHook('onRequest', async (request) => {
    if (openPaths.includes(request.routeOptions.url ?? '')) return;
    if (timingSafeEqual(digest(request.headers.authorization ?? ''), expected)) return;
    throw new PatchlineError('TOKEN_INVALID', 'Expected the header Authorization: Bearer and the token of this server');
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What the OpenAPI document says of a body that is no JSON, by content type. */
    requestBody?: Record<string, object>;
  }
}

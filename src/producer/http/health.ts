import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { activeVersion } from '../../shared/active-bundle.js';
import { listProducts } from '../../shared/bundle.js';
import { messageOf } from '../../shared/errors.js';
import { readinessSchema } from '../../shared/http-api.js';
import { pingRedis } from '../../shared/redis-ping.js';
import type { ObjectStore } from '../../shared/store/object-store.js';
import type { HttpContext } from './context.js';

export const healthRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, { producer: { store, queues } }) => {
  const healthSchema = {
    operationId: 'getHealth',
    summary: 'Whether the server answers',
    security: [],
    response: { 200: z.strictObject({ status: z.literal('ok') }).describe('It does') },
  };
  app.get('/v1/health', { schema: healthSchema }, async () => ({ status: 'ok' as const }));

  const readySchema = {
    operationId: 'getReady',
    summary: 'Whether images can be taken in: Redis and the store answer, and a product has an active bundle',
    security: [],
    response: { 200: readinessSchema.describe('Ready'), 503: readinessSchema.describe('Not ready') },
  };
  app.get('/v1/ready', { schema: readySchema }, async (_request, reply) => {
    const [reason, { state, products }] = await Promise.all([pingRedis(queues.url, 2_000), lookIntoStore(store)]);
    const ready = reason === undefined && state === 'ok' && Object.keys(products).length > 0;
    return reply.code(ready ? 200 : 503).send({ ready, queues: reason ?? 'ok', store: state, products });
  });
};

async function lookIntoStore(store: ObjectStore): Promise<{ state: string; products: Record<string, string> }> {
  const products: Record<string, string> = {};
  try {
    for (const product of await listProducts(store)) {
      const version = await activeVersion(store, product);
      if (version !== undefined) products[product] = version;
    }
    return { state: 'ok', products };
  } catch (error) {
    return { state: messageOf(error), products };
  }
}

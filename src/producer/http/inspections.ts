import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { inspectionSchema, scoredResultSchema, statusSchema } from '../../shared/contracts.js';
import { PatchlineError } from '../../shared/errors.js';
import {
  inspectionPageSchema,
  type ReviewedResult,
  reviewedResultSchema,
  runningSchema,
} from '../../shared/http-api.js';
import { jobIdOf, lookAt } from '../../shared/queues.js';
import { readResult } from '../../shared/results.js';
import { readReview } from '../../shared/reviews.js';
import type { HttpContext } from './context.js';
import { pageOfInspections } from './inspection-list.js';
import { problems } from './problems.js';

export const idParameter = z.strictObject({ id: z.string().describe('Of an inspection: i-<yyyymmdd>-<24 hex>') });

/** @throws INSPECTION_NOT_FOUND */
export function inspectionNotFound(id: string, what = 'a result or a job'): PatchlineError {
  return new PatchlineError('INSPECTION_NOT_FOUND', `Expected an inspection with ${what} but received ${id}`);
}

/** An id that no inspection can have is one that none has. @throws INSPECTION_NOT_FOUND */
export function assertInspectionId(id: string): void {
  if (!inspectionSchema.shape.inspectionId.safeParse(id).success) throw inspectionNotFound(id);
}

/** A date, or a time with an offset, as an instant; a date stands for its first or its last millisecond. */
const edge = (time: 'T00:00:00.000Z' | 'T23:59:59.999Z') =>
  z
    .union([z.iso.date(), z.iso.datetime({ offset: true })])
    .transform((text) => new Date(text.length === 10 ? text + time : text).toISOString());

const { product, camera } = inspectionSchema.shape;
const listQuery = z.strictObject({
  product: product.optional(),
  camera: camera.unwrap().optional(),
  verdict: scoredResultSchema.shape.verdict.optional(),
  status: statusSchema.optional(),
  from: edge('T00:00:00.000Z').optional().describe('Captured from then on: a date, or a time with an offset'),
  to: edge('T23:59:59.999Z').optional().describe('Captured until then, inclusive. Default: tomorrow'),
  limit: z
    .string()
    .regex(/^[1-9]\d*$/)
    .transform(Number)
    .pipe(z.number().max(1_000))
    .optional()
    .describe('At most 1000, default 100'),
  cursor: z.string().optional().describe('Of the page before'),
});
const dayMs = 86_400_000;

export const inspectionRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, { producer, logger }) => {
  const { store, queues } = producer;
  const isLive = async (id: string) =>
    (await lookAt(queues, 'score', jobIdOf(id, 'score'))).live ||
    (await lookAt(queues, 'finalize', jobIdOf(id, 'finalize'))).live;
  const readReviewed = async (id: string): Promise<ReviewedResult | undefined> => {
    const [result, review] = await Promise.all([readResult(store, id), readReview(store, id)]);
    return result && { ...result, ...(review && { review }) };
  };

  app.get(
    '/v1/inspections/:id',
    {
      schema: {
        operationId: 'getInspection',
        summary: 'The result of an inspection, with its review',
        params: idParameter,
        response: {
          200: reviewedResultSchema.describe('The result'),
          202: runningSchema.describe('Under way'),
          ...problems(404),
        },
      },
    },
    async ({ params: { id } }, reply) => {
      assertInspectionId(id);
      const result = await readReviewed(id);
      if (result) return result;
      if (await isLive(id)) return reply.code(202).send({ inspectionId: id, status: 'running' });
      const finished = await readReviewed(id); // it may have come between the two looks
      if (finished) return finished;
      throw inspectionNotFound(id);
    },
  );

  app.get(
    '/v1/inspections',
    {
      schema: {
        operationId: 'listInspections',
        summary: 'Results, the newest day first',
        description:
          'Within a day by id. Reads at most 1000 results for a page: one may hold fewer than `limit`, or none, and still have a cursor.',
        querystring: listQuery,
        response: { 200: inspectionPageSchema.describe('A page'), ...problems() },
      },
    },
    ({ query }) =>
      pageOfInspections(
        { store, logger },
        {
          ...query,
          from: query.from ?? '1970-01-01T00:00:00.000Z',
          to: query.to ?? new Date(Date.now() + dayMs).toISOString(),
          limit: query.limit ?? 100,
        },
      ),
  );
};

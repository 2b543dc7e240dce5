import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { newReviewSchema, reviewSchema } from '../../shared/reviews.js';
import { reviewInspection } from '../review.js';
import type { HttpContext } from './context.js';
import { idParameter } from './inspections.js';
import { problems } from './problems.js';

export const reviewRoutes: FastifyPluginAsyncZod<HttpContext> = async (app, { producer, logger }) => {
  app.post(
    '/v1/inspections/:id/review',
    {
      schema: {
        operationId: 'reviewInspection',
        summary: 'Say what a person found of an inspected part',
        description: 'Replaces the review before, which is kept under `earlier`. The same one again changes nothing.',
        params: idParameter,
        body: newReviewSchema,
        response: { 200: reviewSchema.describe('The review as it is kept'), ...problems(404, 415) },
      },
    },
    ({ params: { id }, body }) => reviewInspection({ store: producer.store, logger }, id, body),
  );
};

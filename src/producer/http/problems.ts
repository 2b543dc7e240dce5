import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { type ErrorCode, errorCodes, PatchlineError } from '../../shared/errors.js';
import { type Problem, problemSchema } from '../../shared/http-api.js';

const statuses: Partial<Record<ErrorCode, number>> = {
  BACKLOG_FULL: 429,
  BUNDLE_NOT_FOUND: 422,
  CAMERA_UNKNOWN: 422,
  CAPTURE_TIME_INVALID: 400,
  IMAGE_NOT_FOUND: 404,
  IMAGE_TOO_LARGE: 413,
  IMAGE_UNREADABLE: 400,
  INSPECTION_NOT_FOUND: 404,
  OBJECT_NOT_FOUND: 404,
  PROCESS_DATA_INVALID: 400,
  QUEUE_UNREACHABLE: 503,
  REQUEST_INVALID: 400,
  SERVER_ENDING: 503,
  STORE_UNREACHABLE: 503,
  TOKEN_INVALID: 401,
};

/** Seconds after which a client that was sent away may come again. */
const retryAfterSeconds = 1;

export const problem = (code: ErrorCode, message: string): Problem => ({ error: { code, message } });

/** Turns what a route threw into `{error: {code, message}}` with its status. */
export function answerError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [status, body] = judge(error);
  if (status === 500) request.log.error({ err: error }, 'request failed');
  if (status === 503) request.log.warn({ reason: error.message }, 'request sent away');
  if (status === 429 || status === 503) reply.header('Retry-After', retryAfterSeconds);
  if (status === 401) reply.header('WWW-Authenticate', 'Bearer');
  return reply.code(status).send(body);
}

function judge(error: FastifyError | Error): [status: number, body: Problem] {
  if (error instanceof PatchlineError) return [statuses[error.code] ?? 500, problem(error.code, error.message)];
  if (hasZodFastifySchemaValidationErrors(error)) {
    const faults = error.validation.map(({ instancePath, message }) => `${nameOf(instancePath)}${message}`);
    return [400, problem('REQUEST_INVALID', faults.join('; '))];
  }
  const code = 'code' in error ? error.code : '';
  if (code === 'ECONNRESET') return [400, problem('REQUEST_INVALID', 'Expected a whole body but the connection broke')];
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return [415, problem('REQUEST_INVALID', expectedTypes)];
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  if (status < 500) return [status, problem('REQUEST_INVALID', error.message)];
  return [500, problem('REQUEST_FAILED', `${errorCodes.REQUEST_FAILED}; the log of the server says more`)];
}

const nameOf = (path: string): string => (path.length <= 1 ? '' : `${path.slice(1)}: `);

const expectedTypes =
  'Expected a body of the type image/*, application/octet-stream or multipart/form-data, or another where the document says so';

const meanings = {
  400: 'The request has a wrong parameter, or a body that cannot be an image',
  401: 'The bearer token is missing or wrong',
  404: 'There is no such thing',
  413: 'The image has more bytes than limits.maxImageBytes allows',
  415: 'The body is of another type than the request takes',
  416: 'The range lies outside of the bytes',
  422: 'The camera has no product, or the product no active bundle',
  429: 'The backlog is full; Retry-After says when to come again',
  503: 'Redis or the store do not answer, or the server is ending; Retry-After says when to come again',
} as const;

/** What a route documents of its errors, beside those that every route has. */
export function problems(...own: (keyof typeof meanings)[]): Record<string, typeof problemSchema> {
  const all = [400, 401, 503, ...own] as const;
  return Object.fromEntries(all.map((status) => [status, problemSchema.describe(meanings[status])]));
}

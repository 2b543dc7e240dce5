import type { FastifyReply, FastifyRequest } from 'fastify';
import { sha256 } from '../../shared/keys.js';
import { problem } from './problems.js';

/** Sends bytes with a strong ETag of their content; 304 where the client has them, 206 or 416 where it wants a part (RFC 9110). */
export function sendBytes(
  request: FastifyRequest,
  reply: FastifyReply,
  bytes: Uint8Array,
  contentType: string,
): FastifyReply {
  const etag = `"${sha256(bytes)}"`;
  reply.header('ETag', etag).header('Accept-Ranges', 'bytes').header('Cache-Control', 'private, no-cache');
  const { range, 'if-range': ifRange, 'if-none-match': known } = request.headers;
  if (known !== undefined && names(known, etag)) return reply.code(304).send();
  reply.type(contentType);
  if (request.method !== 'GET' || range === undefined || (ifRange !== undefined && ifRange !== etag)) {
    return reply.send(bytes);
  }
  const part = readRange(range, bytes.length);
  if (part === 'whole') return reply.send(bytes);
  if (part === 'none') {
    const message = `Expected a range within ${bytes.length} bytes but received ${range}`;
    const body = problem('REQUEST_INVALID', message);
    return reply.code(416).header('Content-Range', `bytes */${bytes.length}`).type('application/json').send(body);
  }
  const [start, end] = part;
  reply.code(206).header('Content-Range', `bytes ${start}-${end - 1}/${bytes.length}`);
  return reply.send(bytes.subarray(start, end));
}

const names = (list: string, etag: string): boolean =>
  list.split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === etag);

/** [start, end) of one range of bytes. What is no such range, and several at once, may be answered with the whole. */
function readRange(header: string, size: number): [start: number, end: number] | 'whole' | 'none' {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header.trim()) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return 'whole';
  if (first === '') return Number(last) === 0 || size === 0 ? 'none' : [Math.max(0, size - Number(last)), size];
  if (last !== '' && Number(last) < Number(first)) return 'whole';
  if (Number(first) >= size) return 'none';
  return [Number(first), last === '' ? size : Math.min(size, Number(last) + 1)];
}

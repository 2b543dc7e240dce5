import { createHmac } from 'node:crypto';
import pRetry from 'p-retry';
import { PatchlineError, messageOf as reasonOf } from '../shared/errors.js';
import type { WebhookSettings } from '../shared/sink-settings.js';
import { bodyOf, type SinkMessage } from './message.js';
import { refused, type Sink, secretOf, unreachable } from './sink.js';

/** `sha256=<hex>` of HMAC-SHA256 over timestamp, a dot and the body. */
const signatureOf = (secret: string, timestamp: string, body: string): string =>
  `sha256=${createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex')}`;

/** One POST per event. Redirects are not followed: the signed event is for the configured address alone. */
export function openWebhook(settings: WebhookSettings): Sink {
  const { name, url, timeoutMs, attempts, backoffMs, concurrency } = settings;
  const secret = secretOf(name, settings.secretEnv);
  const authorization = secretOf(name, settings.authorizationEnv);

  function headersOf({ delivery, kind }: SinkMessage, body: string): Record<string, string> {
    const timestamp = String(Math.floor(Date.now() / 1000));
    return {
      'content-type': 'application/json',
      'patchline-event': kind,
      'patchline-delivery': delivery,
      'patchline-timestamp': timestamp,
      ...(secret && { 'patchline-signature': signatureOf(secret, timestamp, body) }),
      ...(authorization && { authorization }),
    };
  }

  async function post(message: SinkMessage): Promise<void> {
    const body = bodyOf(message);
    const signal = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let said: string;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: headersOf(message, body),
        body,
        redirect: 'manual',
        signal,
      });
      said = await startOf(response);
    } catch (error) {
      throw unreachable(`Expected ${new URL(url).host} to answer but: ${causeOf(error)}`);
    }
    if (!response.ok) throw faultOf(response, said);
  }

  return {
    atOnce: concurrency,
    deliver: (message, signal) =>
      pRetry(() => post(message), {
        retries: attempts - 1,
        minTimeout: backoffMs,
        maxTimeout: 30_000,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => error instanceof PatchlineError && error.code === 'SINK_REFUSED' && error.retryable,
      }),
    async close() {},
  };
}

/** fetch says no more than "fetch failed"; the reason is its cause. */
const causeOf = (error: unknown): string =>
  error instanceof Error && error.cause !== undefined ? reasonOf(error.cause) || String(error.cause) : reasonOf(error);

/** What an endpoint says of an event; an answer may be longer than what is worth keeping. */
async function startOf(response: Response): Promise<string> {
  if (!response.body) return '';
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > 64 * 1024) break;
  }
  return text.slice(0, 200);
}

/** These say that the endpoint takes nothing for now, whatever the event: a proxy speaks for one that is down. */
const unavailable = [429, 502, 503, 504];

function faultOf({ status, statusText, headers }: Response, said: string): PatchlineError {
  const message = `Expected a status from 200 to 299 but received ${[status, statusText, said].filter(Boolean).join(' ')}`;
  if (unavailable.includes(status)) return unreachable(message, retryAfterMs(headers.get('retry-after')));
  return refused(message, status === 408 || status >= 500);
}

const longestWaitMs = 3_600_000;

/** Retry-After in seconds or as a date, at most an hour. */
export function retryAfterMs(header: string | null, now = Date.now()): number | undefined {
  if (header === null) return undefined;
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return waitMs > 0 ? Math.min(waitMs, longestWaitMs) : undefined;
}

import type { InspectionEvent, InspectionResult, Status, Verdict } from './shared/contracts.js';
import type {
  Accepted,
  ArtefactName,
  Inspected,
  InspectionPage,
  Judged,
  Listed,
  Problem,
  ReviewedResult,
} from './shared/http-api.js';
import type { NewReview, Review } from './shared/reviews.js';

export type {
  Accepted,
  ArtefactName,
  Inspected,
  InspectionEvent,
  InspectionResult,
  Judged,
  Listed,
  NewReview,
  Review,
  ReviewedResult,
  Status,
  Verdict,
};

/** Where a `patchline serve` is, and how to talk to it. It runs wherever there is `fetch`: Node, browsers, other runtimes. */
export interface ClientOptions {
  /** Such as http://127.0.0.1:8080. */
  url: string;
  token?: string;
  fetch?: typeof globalThis.fetch;
  /** How often a request is sent again when it found no connection or was sent away (429, 502, 503, 504). Default 3. */
  retries?: number;
}

export interface ImageOptions {
  camera: string;
  /** Default: the time in the image's EXIF data, else the time of receipt. */
  capturedAt?: Date | string;
  /** The camera's own id of the shot: sent again, it always is the same inspection. */
  captureId?: string;
  fileName?: string;
  process?: Record<string, number>;
  /** Time to wait, at most 120 s; default 30 s. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
}

export interface InspectionQuery {
  product?: string;
  camera?: string;
  verdict?: Verdict;
  status?: Status;
  /** Times of capture, inclusive: dates or times with an offset. */
  from?: string;
  to?: string;
  /** How many are asked for at once: at most 1000, default 100. */
  pageSize?: number;
  signal?: AbortSignal;
}

export interface EventQuery {
  /** Default `verdicts`. */
  stream?: 'verdicts' | 'results';
  product?: string;
  camera?: string;
  /** Begin after this event; default: with the next one that comes. */
  lastEventId?: string;
  signal?: AbortSignal;
}

export interface StreamedEvent {
  /** Give it as `lastEventId` to go on after it. */
  id: string;
  event: InspectionEvent;
}

export class PatchlineClientError extends Error {
  /** The server's code, CONNECTION_FAILED where there was no answer, or WAIT_TIMED_OUT. */
  readonly code: string;
  /** Of the answer. */
  readonly status: number | undefined;
  /** Of the image that was taken in, where the wait for its verdict or result was too short. */
  readonly inspectionId: string | undefined;

  constructor(
    code: string,
    message: string,
    { status, inspectionId, cause }: { status?: number; inspectionId?: string; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = 'PatchlineClientError';
    this.code = code;
    this.status = status;
    this.inspectionId = inspectionId;
  }
}

const passing = [429, 502, 503, 504];
/** The server sends a heartbeat every 15 s. */
const silenceMs = 45_000;
const reconnectMs = 1_000;

/** A client of `patchline serve`. Every method throws PatchlineClientError, or the reason of its `signal`. */
export class PatchlineClient {
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof globalThis.fetch;
  readonly #retries: number;

  constructor({ url, token, fetch = globalThis.fetch, retries = 3 }: ClientOptions) {
    this.#url = url.replace(/\/+$/, '');
    this.#headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    this.#fetch = (...request) => fetch(...request); // browsers insist on the `this` of fetch
    this.#retries = retries;
  }

  /**
   * Sends an image and, where asked to, waits for its verdict or result. An image that fails has a verdict event and a result too:
   * look at `status` and `error`.
   *
   * @throws WAIT_TIMED_OUT, with the inspection's id
   */
  async inspect(image: Blob | ArrayBuffer | Uint8Array, options: ImageOptions & { wait: 'verdict' }): Promise<Judged>;
  async inspect(image: Blob | ArrayBuffer | Uint8Array, options: ImageOptions & { wait: 'result' }): Promise<Inspected>;
  async inspect(image: Blob | ArrayBuffer | Uint8Array, options: ImageOptions): Promise<Accepted>;
  async inspect(
    image: Blob | ArrayBuffer | Uint8Array,
    {
      capturedAt,
      process,
      timeoutSeconds,
      signal,
      ...parameters
    }: ImageOptions & { wait?: 'verdict' | 'result' | undefined },
  ): Promise<Accepted | Judged | Inspected> {
    const query = queryOf({
      ...parameters,
      capturedAt: capturedAt instanceof Date ? capturedAt.toISOString() : capturedAt,
      process: process && JSON.stringify(process),
      timeout: timeoutSeconds,
    });
    const response = await this.#request(`/v1/images${query}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/octet-stream' },
      body: image as RequestInit['body'],
      signal,
    });
    const answer = (await response.json()) as Accepted | Judged | Inspected;
    if (parameters.wait === undefined || response.status === 200) return answer;
    const { inspectionId } = answer;
    throw new PatchlineClientError('WAIT_TIMED_OUT', `Expected the ${parameters.wait} of ${inspectionId} in time`, {
      status: response.status,
      inspectionId,
    });
  }

  /** The result of an inspection, with its review where it has one; undefined while it is under way. @throws INSPECTION_NOT_FOUND */
  async result(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<ReviewedResult | undefined> {
    const response = await this.#request(`/v1/inspections/${id}`, { signal });
    return response.status === 202 ? undefined : ((await response.json()) as ReviewedResult);
  }

  /** Says what a person found of an inspected part. @throws INSPECTION_NOT_FOUND where it has no result */
  async review(id: string, review: NewReview, { signal }: { signal?: AbortSignal } = {}): Promise<Review> {
    const response = await this.#request(`/v1/inspections/${id}/review`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(review),
      signal,
    });
    return (await response.json()) as Review;
  }

  /** Results, the newest day first, asked for page by page. */
  async *inspections({ pageSize, signal, ...filters }: InspectionQuery = {}): AsyncGenerator<Listed, void> {
    let cursor: string | null | undefined;
    do {
      const query = queryOf({ ...filters, limit: pageSize, cursor });
      const page = (await (await this.#request(`/v1/inspections${query}`, { signal })).json()) as InspectionPage;
      yield* page.inspections;
      cursor = page.cursor;
    } while (cursor !== null);
  }

  /** A map or a picture of an inspection. @throws OBJECT_NOT_FOUND where it has no such thing */
  artefact(id: string, name: ArtefactName, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.#bytes(`/v1/inspections/${id}/artefacts/${name}`, signal);
  }

  /** The original image of an inspection. */
  image(id: string, { signal }: { signal?: AbortSignal } = {}): Promise<Uint8Array> {
    return this.#bytes(`/v1/inspections/${id}/image`, signal);
  }

  /**
   * Verdicts or results as they come, without an end. After a broken connection it goes on where it was, so that nothing is
   * missed; an event may come twice: dedupe by inspectionId.
   */
  async *events({ lastEventId, signal, ...filters }: EventQuery = {}): AsyncGenerator<StreamedEvent, never> {
    let last = lastEventId;
    let wasConnected = false;
    for (;;) {
      const response = await this.#openEvents(filters, last, signal).catch((error) => {
        if (!wasConnected || !mayPass(error)) throw error; // later it waits for the server as long as it takes
      });
      if (response) {
        wasConnected = true;
        for await (const { id, data } of readEvents(response.body!)) {
          last = id;
          if (data !== undefined) yield { id, event: JSON.parse(data) as InspectionEvent };
        }
      }
      await pause(reconnectMs, signal);
    }
  }

  #openEvents(filters: EventQuery, last: string | undefined, signal: AbortSignal | undefined): Promise<Response> {
    const headers: Record<string, string> = last === undefined ? {} : { 'Last-Event-ID': last };
    const { stream, product, camera } = filters;
    return this.#request(`/v1/events${queryOf({ stream, product, camera })}`, { headers, signal });
  }

  async #bytes(path: string, signal: AbortSignal | undefined): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#request(path, { signal })).arrayBuffer());
  }

  async #request(path: string, { signal, ...init }: Request): Promise<Response> {
    const headers = { ...this.#headers, ...init.headers };
    for (let attempt = 0; ; attempt++) {
      signal?.throwIfAborted();
      let failure: PatchlineClientError;
      let waitMs = 500 * 2 ** attempt;
      try {
        const response = await this.#fetch(this.#url + path, { ...init, headers, signal: signal ?? null });
        if (response.ok) return response;
        failure = await errorOf(response);
        waitMs = 1_000 * Number(response.headers.get('Retry-After') ?? waitMs / 1_000);
      } catch (cause) {
        signal?.throwIfAborted();
        failure = new PatchlineClientError('CONNECTION_FAILED', `Expected an answer of ${this.#url}: ${cause}`, {
          cause,
        });
      }
      if (!mayPass(failure) || attempt >= this.#retries) throw failure;
      await pause(waitMs, signal);
    }
  }
}

const mayPass = (error: unknown): boolean =>
  error instanceof PatchlineClientError && (error.status === undefined || passing.includes(error.status));

interface Request {
  method?: string;
  headers?: Record<string, string>;
  body?: RequestInit['body'];
  signal?: AbortSignal | undefined;
}

function queryOf(parameters: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
  return given.length === 0 ? '' : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

async function errorOf(response: Response): Promise<PatchlineClientError> {
  const text = await response.text();
  const { status } = response;
  try {
    const { code, message } = (JSON.parse(text) as Problem).error;
    return new PatchlineClientError(code, message, { status });
  } catch {
    // something between client and server answered, such as a proxy
    return new PatchlineClientError('REQUEST_FAILED', `Expected another answer than ${status} ${text.slice(0, 200)}`, {
      status,
    });
  }
}

/** Ends where the connection breaks or stays silent. */
async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id: string; data?: string }> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await readUnlessSilent(reader);
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop()!;
      for (const block of blocks) {
        const id = /^id: (.*)$/m.exec(block)?.[1];
        const data = /^data: (.*)$/m.exec(block)?.[1];
        if (id !== undefined) yield { id, ...(data !== undefined && { data }) };
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

type Chunk = { done: true; value?: undefined } | { done: false; value: Uint8Array };

async function readUnlessSilent(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Chunk> {
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), silenceMs);
  try {
    return (await reader.read()) as Chunk;
  } catch {
    return { done: true };
  } finally {
    clearTimeout(timer);
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

import { type Connection, connect, type Table } from '@lancedb/lancedb';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { isS3Url } from '../shared/store/s3-client.js';
import { historyPlace, mayHaveHistory, type Place } from './place.js';
import { historySchema } from './schema.js';

/**
 * History: one row per inspection in LanceDB. It holds nothing that results and reviews do not: `patchline history rebuild` makes it
 * anew from them.
 */
export interface History {
  /** Of the store. */
  url: string;
  table: Table;
}

const tableName = 'inspections';

/** Opens the history to read; undefined where there is none. Never makes one. @throws HISTORY_UNAVAILABLE */
export async function openHistory(store: Place): Promise<History | undefined> {
  if (!mayHaveHistory(store)) return undefined; // connecting would make the folder
  return await reach(store, async () => {
    const connection = await connectTo(store);
    try {
      return { url: store.url, table: await connection.openTable(tableName) };
    } catch (error) {
      if (messageOf(error).startsWith(`Table '${tableName}' was not found`)) return undefined;
      throw error;
    }
  });
}

/** @throws HISTORY_UNAVAILABLE where there is none. */
export async function requireHistory(store: Place): Promise<History> {
  const history = await openHistory(store);
  if (history) return history;
  throw new PatchlineError(
    'HISTORY_UNAVAILABLE',
    `Expected a history of inspections in ${store.url} but found none: "patchline up" keeps it, "patchline history rebuild" makes it from the results`,
  );
}

/** Opens the history, or makes an empty one. @throws HISTORY_UNAVAILABLE */
export async function openOrCreateHistory(store: Place): Promise<History> {
  return await reach(store, async () => {
    const connection = await connectTo(store);
    const table = await connection.createEmptyTable(tableName, historySchema, { mode: 'create', existOk: true });
    return { url: store.url, table };
  });
}

/** Drops the history with all that it holds. @throws HISTORY_UNAVAILABLE */
export async function dropHistory(store: Place): Promise<void> {
  await reach(store, async () => (await connectTo(store)).dropTable(tableName));
}

/** Each read looks for newer versions of the table, since other processes write it. */
function connectTo(store: Place): Promise<Connection> {
  return connect(historyPlace(store), {
    readConsistencyInterval: 0,
    ...(isS3Url(store.url) && { storageOptions: storageOptions() }),
  });
}

/** The server and the credentials that the store itself uses; without S3_ENDPOINT LanceDB finds AWS by itself. */
function storageOptions(): Record<string, string> {
  const { S3_ENDPOINT, AWS_REGION, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  return {
    aws_region: AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1',
    ...(S3_ENDPOINT && { aws_endpoint: S3_ENDPOINT, allow_http: String(S3_ENDPOINT.startsWith('http:')) }),
    ...(AWS_ACCESS_KEY_ID && { aws_access_key_id: AWS_ACCESS_KEY_ID }),
    ...(AWS_SECRET_ACCESS_KEY && { aws_secret_access_key: AWS_SECRET_ACCESS_KEY }),
  };
}

/** Gives what LanceDB throws its code. */
export async function reach<T>({ url }: Place, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    if (error instanceof PatchlineError) throw error;
    const [reason] = messageOf(error).split('\n');
    const message = `The history of inspections in ${url} cannot be used: ${reason}`;
    throw new PatchlineError('HISTORY_UNAVAILABLE', message, { retryable: true, cause: error });
  }
}

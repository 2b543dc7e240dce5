import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isS3Url } from '../shared/store/s3-client.js';

/** What finding the history of a store needs of it. */
export interface Place {
  url: string;
}

/** Where LanceDB keeps the history of a store: under a name that no listing of the store shows. */
export const historyPlace = ({ url }: Place): string => (isS3Url(url) ? `${url}/.history` : join(url, '.history'));

/** False where there is surely no history. Apart from the rest, so that asking does not load LanceDB. */
export const mayHaveHistory = (store: Place): boolean => isS3Url(store.url) || existsSync(historyPlace(store));

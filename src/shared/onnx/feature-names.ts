import { PatchlineError } from '../errors.js';
import type { ModelProto } from './model.js';

/** Under this key a model of one input (N, D) says what its columns are called: a JSON array of D names. */
export const featureNamesKey = 'patchline.features';

/** The names of the columns, where the model says them. @throws MODEL_DAMAGED */
export function featureNamesOf({ metadataProps }: ModelProto): string[] | undefined {
  const text = metadataProps?.find(({ key }) => key === featureNamesKey)?.value;
  if (text === undefined) return undefined;
  const names = parse(text);
  if (Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string')) return names;
  throw new PatchlineError(
    'MODEL_DAMAGED',
    `Expected a JSON array of column names under ${featureNamesKey} in the model but received ${text}`,
  );
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { z } from 'zod';
import { allParts, assertNetwork, readBundle, readJson } from './bundle.js';
import { readPartBytes } from './bundle-parts.js';
import { PatchlineError } from './errors.js';
import { activeBundleKey } from './keys.js';
import { type ObjectStore, putJson } from './store/object-store.js';

/** Throws BUNDLE_NOT_FOUND, BUNDLE_DAMAGED or BUNDLE_NETWORK_MISMATCH for a bundle that images could not be inspected with. */
async function assertUsable(store: ObjectStore, product: string, version: string): Promise<void> {
  const bundle = await readBundle(store, product, version);
  assertNetwork(bundle);
  await Promise.all(Object.entries(allParts(bundle)).map(([name, part]) => readPartBytes(store, name, part)));
}

/** `previous` are the versions that were active before, the last one first. */
const activeSchema = z.strictObject({ version: z.string(), previous: z.array(z.string()).default([]) });
type Active = z.infer<typeof activeSchema>;
const keptPrevious = 20;

const readActive = (store: ObjectStore, product: string): Promise<Active | undefined> =>
  readJson(store, activeBundleKey(product), activeSchema);

/** The version that new images are inspected with; undefined where none is. Throws BUNDLE_DAMAGED. */
export async function activeVersion(store: ObjectStore, product: string): Promise<string | undefined> {
  return (await readActive(store, product))?.version;
}

/**
 * New images are inspected with this version from now on. All of it is read before: a damaged bundle never replaces the active
 * one. Throws BUNDLE_NOT_FOUND, BUNDLE_DAMAGED, BUNDLE_NETWORK_MISMATCH.
 */
export async function activateBundle(store: ObjectStore, product: string, version: string): Promise<void> {
  await assertUsable(store, product, version);
  const active = await readActive(store, product);
  if (active?.version === version) return;
  const previous = active ? [active.version, ...active.previous].slice(0, keptPrevious) : [];
  await putJson(store, activeBundleKey(product), { version, previous } satisfies Active);
}

/** Activates the version that was active before this one; once more, the one before that. Errors as `activateBundle`. */
export async function rollBackBundle(store: ObjectStore, product: string): Promise<{ from: string; to: string }> {
  const active = await readActive(store, product);
  const [to, ...previous] = active?.previous ?? [];
  if (!active || to === undefined) {
    throw new PatchlineError(
      'BUNDLE_NOT_FOUND',
      `Expected a version of product ${product} that was active before ${active?.version ?? 'now'} but there is none`,
    );
  }
  await assertUsable(store, product, to);
  await putJson(store, activeBundleKey(product), { version: to, previous } satisfies Active);
  return { from: active.version, to };
}

import { unzipSync, type Zippable, zipSync } from 'fflate';
import { messageOf, PatchlineError } from './errors.js';
import { type NpyArray, readNpy, writeNpy } from './npy.js';

/** NumPy's .npz: a zip of .npy files. */

/** Midnight of the first day a zip can hold, in local time, because that is what a zip keeps: the same bytes in every time zone. */
const fixedTime = new Date(1980, 0, 1);

/** An uncompressed .npz; the same arrays under the same names always give the same bytes. Error: SHAPE_MISMATCH. */
export function writeNpz(arrays: Readonly<Record<string, NpyArray>>): Uint8Array<ArrayBuffer> {
  const entries: Zippable = {};
  for (const name of Object.keys(arrays).sort()) entries[`${name}.npy`] = writeNpy(arrays[name]!, name);
  return zipSync(entries, { level: 0, mtime: fixedTime });
}

/** The arrays of a .npz by name, whether compressed or not. Error: ARRAY_UNREADABLE. */
export function readNpz(bytes: Uint8Array, name = 'archive'): Record<string, NpyArray> {
  let entries: Record<string, Uint8Array>;
  try {
    entries = unzipSync(bytes, { filter: (entry) => entry.name.endsWith('.npy') });
  } catch (error) {
    throw new PatchlineError(
      'ARRAY_UNREADABLE',
      `Expected a whole .npz file for ${name} but received ${bytes.length} bytes: ${messageOf(error)}`,
      { cause: error },
    );
  }
  return Object.fromEntries(
    Object.entries(entries).map(([file, content]) => [
      file.slice(0, -'.npy'.length),
      readNpy(content, `${name}/${file}`),
    ]),
  );
}

import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const versionIn = (file: string): string => (require(file) as { version: string }).version;

export const patchlineVersion = versionIn('../../package.json');

/** Of an installed package. */
export const versionOf = (name: string): string => versionIn(`${name}/package.json`);

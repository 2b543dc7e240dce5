import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the test files of a run leave what the others can use too. */
    sharedDirectory: string;
  }
}

export default async function shareDirectory(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'patchline-shared-'));
  project.provide('sharedDirectory', directory);
  return () => rm(directory, { recursive: true, force: true });
}

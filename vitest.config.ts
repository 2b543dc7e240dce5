import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const dist = fileURLToPath(new URL('./dist/', import.meta.url));

export default defineConfig({
  // Tests name sources and run what ships: worker threads and child processes need compiled files anyway.
  resolve: { alias: [{ find: /^(\.\.\/)+src\//, replacement: dist }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: './test/helpers/shared-directory.ts',
    maxWorkers: '100%', // many tests wait for processes, not for this one's core
    pool: 'forks', // the vm pools give typed arrays of another realm, which onnxruntime refuses
    testTimeout: 240_000, // only ends what would hang for ever: tests start processes, on machines that may be busy
    hookTimeout: 240_000,
    reporters: ['default', './test/helpers/plain-summary.ts'],
  },
});

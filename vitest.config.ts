import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const dist = fileURLToPath(new URL('./dist/', import.meta.url));

export default defineConfig({
  // Tests name sources and run what ships: worker threads and child processes need compiled files anyway.
  resolve: { alias: [{ find: /^(\.\.\/)+src\//, replacement: dist }] },
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks', // the vm pools give typed arrays of another realm, which onnxruntime refuses
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ['default', './test/helpers/plain-summary.ts'],
  },
});

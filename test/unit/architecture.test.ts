import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { errorCodes } from '../../src/shared/errors.js';

const source = resolve('src');
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
const importsOf = (file: string) =>
  [...readFileSync(join(source, file), 'utf8').matchAll(/(?:from|import\() ?'([^']+)'/g)].map(([, name]) => name!);

/** What each part may import beside itself: dependencies point one way. */
const allowed: Record<string, string[]> = {
  cli: ['producer', 'workers', 'fit', 'dashboard', 'sinks', 'explain', 'history', 'shared'],
  producer: ['explain', 'history', 'shared'],
  workers: ['explain', 'history', 'shared'],
  fit: ['explain', 'history', 'shared'],
  dashboard: ['explain', 'history', 'shared'],
  sinks: ['shared'],
  explain: ['shared'],
  history: ['shared'],
  'client.ts': ['shared'],
  shared: [],
};

test('imports point from the command line down to what all share', () => {
  expect(files.length).toBeGreaterThan(40);
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((name) => name.startsWith('.'))
      .map((name) => relative(source, resolve(source, dirname(file), name)))
      .filter((target) => {
        const [from, to] = [file.split('/')[0]!, target.split('/')[0]!];
        return from !== to && !allowed[from]!.includes(to);
      })
      .map((target) => `${file} imports ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("only run-worker.ts imports BullMQ's Worker", () => {
  const importers = files.filter((file) =>
    /import \{[^}]*\bWorker\b[^}]*\} from 'bullmq'/.test(readFileSync(join(source, file), 'utf8')),
  );
  expect(importers).toEqual(['workers/run-worker.ts']);
});

test('the client is no more than itself: it runs in browsers', () => {
  const compiled = readFileSync('dist/client.js', 'utf8');
  expect(compiled).toContain('class PatchlineClient');
  expect(compiled).not.toMatch(/\bimport\b|\brequire\b|\bprocess\.|\bBuffer\b/);
});

test('kernels do no I/O', () => {
  const impure = files.filter(
    (file) => file.startsWith('shared/kernels/') && importsOf(file).some((name) => name.startsWith('node:')),
  );
  expect(impure).toEqual([]);
});

test('the table of errors in the docs lists every code with its meaning', () => {
  const rows = [...readFileSync('docs/errors.md', 'utf8').matchAll(/^\| `([A-Z0-9_]+)` \| (.*) \|$/gm)];
  expect(Object.fromEntries(rows.map(([, code, meaning]) => [code, meaning]))).toEqual(errorCodes);
});

import { execFileSync } from 'node:child_process';
import { zipSync } from 'fflate';
import { expect, test } from 'vitest';
import { type NpyArray, writeNpy } from '../../src/shared/npy.js';
import { readNpz, writeNpz } from '../../src/shared/npz.js';

const input: NpyArray = { dtype: 'uint8', shape: [1, 2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
const features: NpyArray = { dtype: 'float32', shape: [2], data: Float32Array.of(0.5, -1) };

test('arrays are read as they were written', () => {
  expect(readNpz(writeNpz({ input, features }))).toEqual({ input, features });
});

test('reads compressed archives and passes over other files', () => {
  const zip = zipSync({ 'input.npy': writeNpy(input), 'notes.txt': Buffer.from('x') }, { level: 9 });
  expect(readNpz(zip)).toEqual({ input });
});

test('the same content gives the same bytes, in whatever order and time zone', () => {
  const bytes = writeNpz({ input, features });
  expect(writeNpz({ features, input })).toEqual(bytes);
  const script = `
    import { writeNpz } from ${JSON.stringify(new URL('../../dist/shared/npz.js', import.meta.url).href)};
    const input = { dtype: 'uint8', shape: [1, 2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const features = { dtype: 'float32', shape: [2], data: Float32Array.of(0.5, -1) };
    process.stdout.write(writeNpz({ input, features }));`;
  const elsewhere = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, TZ: 'Pacific/Auckland' },
  });
  expect(Buffer.compare(elsewhere, bytes)).toBe(0);
});

test.each([0, 100, -1])('an archive cut short is ARRAY_UNREADABLE (%i)', (end) => {
  const bytes = writeNpz({ input, features }).slice(0, end);
  expect(() => readNpz(bytes, 'score.npz')).toThrowError(
    expect.objectContaining({ code: 'ARRAY_UNREADABLE', message: expect.stringContaining('score.npz') }),
  );
});

test('a damaged array is named', () => {
  const zip = zipSync({ 'input.npy': writeNpy(input).slice(0, -1) });
  expect(() => readNpz(zip, 'score.npz')).toThrowError(/score\.npz\/input\.npy/);
});

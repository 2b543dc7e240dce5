import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { expectArray, type NpyArray, readNpy } from '../../src/shared/npy.js';
import { expectClose, type Tolerance, type Values } from './arrays.js';

interface FileEntry {
  file: string;
  shape: number[];
  dtype: string;
  sha256: string;
  atol?: number;
  rtol?: number;
}
interface CaseFile {
  atol: number;
  rtol: number;
  inputs: Record<string, FileEntry> & Partial<Record<'net' | 'model', { path: string; sha256: string }>>;
  params?: Record<string, number>;
  outputs: Record<string, FileEntry>;
}

export interface GoldenCase {
  name: string;
  params: Record<string, number>;
  /** An input, checked to be of this type. */
  float32(input: string): { data: Float32Array; shape: number[] };
  uint8(input: string): { data: Uint8Array; shape: number[] };
  int64(input: string): { data: BigInt64Array; shape: number[] };
  /** Where the network of the case lies. */
  network(): string;
  /** An output as it should be. */
  output(name: string): NpyArray;
  /** What that output may differ by. */
  tolerance(output: string): Tolerance;
  /**
   * Compares whole outputs, each within its own tolerance. Every output of the case has to be given or be named in `notOurs`,
   * the results of other conventions, so that nothing is left out unseen.
   */
  check(got: Record<string, Values | number>, notOurs?: readonly string[]): void;
}

const root = new URL('../golden/', import.meta.url);

/** All cases of a kernel; fails where there is none. */
export function goldenCases(kernel: string): GoldenCase[] {
  const names = readdirSync(new URL(`${kernel}/`, root)).sort();
  if (names.length === 0) throw new Error(`No golden case of ${kernel}`);
  return names.map((name) => goldenCase(kernel, name));
}

export function goldenCase(kernel: string, name: string): GoldenCase {
  const folder = new URL(`${kernel}/${name}/`, root);
  const description: CaseFile = JSON.parse(readFileSync(new URL('case.json', folder), 'utf8'));

  const load = (entries: Record<string, FileEntry>, key: string): NpyArray => {
    const entry = entries[key];
    if (entry === undefined)
      throw new Error(`${kernel}/${name} has no ${key}, only ${Object.keys(entries).join(', ')}`);
    const bytes = readFileSync(new URL(entry.file, folder));
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest !== entry.sha256) throw new Error(`${kernel}/${name}/${entry.file} does not match its sha256`);
    const array = readNpy(bytes, entry.file);
    expect({ dtype: array.dtype, shape: array.shape }).toEqual({ dtype: entry.dtype, shape: entry.shape });
    return array;
  };

  return {
    name,
    params: description.params ?? {},
    float32: (input) => expectArray(load(description.inputs, input), input, 'float32'),
    uint8: (input) => expectArray(load(description.inputs, input), input, 'uint8'),
    int64: (input) => expectArray(load(description.inputs, input), input, 'int64'),
    network() {
      const { path, sha256 } = (description.inputs.net ?? description.inputs.model)!;
      const file = fileURLToPath(new URL(path, root));
      expect(createHash('sha256').update(readFileSync(file)).digest('hex'), path).toBe(sha256);
      return file;
    },
    output: (output) => load(description.outputs, output),
    tolerance: (output) => toleranceOf(description, output, load(description.outputs, output)),
    check(got, notOurs = []) {
      const named = [...Object.keys(got), ...notOurs].sort();
      expect(named, 'outputs compared or named as not ours').toEqual(Object.keys(description.outputs).sort());
      for (const [output, value] of Object.entries(got)) {
        const want = load(description.outputs, output);
        const values = typeof value === 'number' ? [value] : value;
        expectClose(values, want.data, toleranceOf(description, output, want), `${kernel}/${name} ${output}`);
      }
    },
  };
}

/** Whole numbers are equal unless the output itself allows a difference. */
function toleranceOf({ atol, rtol, outputs }: CaseFile, output: string, want: NpyArray): Tolerance {
  const own = outputs[output]!;
  const isFloat = want.dtype === 'float32';
  return { atol: own.atol ?? (isFloat ? atol : 0), rtol: own.rtol ?? (isFloat ? rtol : 0) };
}

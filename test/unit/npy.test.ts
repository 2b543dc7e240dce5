import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Dtype, expectArray, type NpyArray, readNpy, writeNpy } from '../../src/shared/npy.js';
import { expectClose } from '../helpers/arrays.js';

const samples: NpyArray[] = [
  { dtype: 'float64', shape: [2, 3], data: Float64Array.of(0.1, -2, 3e300, 4, 5, 6) },
  { dtype: 'float32', shape: [6], data: Float32Array.of(0.5, -2, 3, 4, 5, 6) },
  { dtype: 'float16', shape: [2, 1, 2], data: Float32Array.of(0.5, -2, 65_504, 2 ** -24) },
  { dtype: 'int64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 53n + 1n) },
  { dtype: 'int32', shape: [3], data: Int32Array.of(-1, 2 ** 31 - 1, 0) },
  { dtype: 'int8', shape: [3], data: Int8Array.of(-128, 127, 0) },
  { dtype: 'uint16', shape: [2], data: Uint16Array.of(1, 65_535) },
  { dtype: 'uint8', shape: [1, 2], data: Uint8Array.of(0, 255) },
  { dtype: 'bool', shape: [3], data: Uint8Array.of(0, 1, 1) },
  { dtype: 'float32', shape: [], data: Float32Array.of(7) },
  { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) },
];

test.each(samples)('$dtype of shape $shape is read as it was written', (array) => {
  const read = readNpy(writeNpy(array));
  expect(read.dtype).toBe(array.dtype);
  expect(read.shape).toEqual(array.shape);
  expect(read.data.constructor).toBe(array.data.constructor);
  if (array.data instanceof BigInt64Array) expect(read.data).toEqual(array.data);
  else expectClose(read.data, array.data);
});

test('writes the bytes that NumPy writes', () => {
  const golden = new URL('../golden/', import.meta.url);
  const files = readdirSync(golden, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.npy'));
  expect(files.length).toBeGreaterThan(100);
  for (const file of files) {
    const bytes = readFileSync(new URL(file, golden));
    expect(Buffer.compare(writeNpy(readNpy(bytes, file)), bytes), file).toBe(0);
  }
});

/** A .npy file by hand. */
function npyFile(header: string, data: Uint8Array, major = 1): Uint8Array {
  const length =
    major === 1 ? [header.length & 255, header.length >> 8] : [header.length & 255, header.length >> 8, 0, 0];
  return Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), major, 0, ...length]), Buffer.from(header), data]);
}

test('turns Fortran order into C order', () => {
  // The array [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]] with the first axis fastest.
  const data = Uint8Array.of(0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11);
  const read = readNpy(npyFile("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }\n", data));
  expectClose(expectArray(read, 'array', 'uint8', [2, 3, 2]).data, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

test('reads version 2 and a header of another order and spacing', () => {
  const header = "{'shape':(2,),'fortran_order':False,'descr':'<u2'}";
  expectClose(expectArray(readNpy(npyFile(header, Uint8Array.of(1, 2, 3, 4), 2)), 'array', 'uint16').data, [513, 1027]);
});

test('reads from any offset and leaves the source alone', () => {
  const bytes = writeNpy(samples[0]!);
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  const read = expectArray(readNpy(shifted.subarray(3)), 'array', 'float64');
  read.data.fill(0);
  expect(readNpy(shifted.subarray(3)).data).toEqual(samples[0]!.data);
});

const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }\n";
test.each([
  ['nothing', new Uint8Array(0)],
  ['another file', Buffer.from('GIF89a and so on')],
  ['version 3', npyFile(header, new Uint8Array(8), 3)],
  ['a header cut short', npyFile(header, new Uint8Array(8)).subarray(0, 40)],
  ['data cut short', npyFile(header, new Uint8Array(7))],
  ['data too long', npyFile(header, new Uint8Array(9))],
  ['no shape', npyFile(header.replace('shape', 'form'), new Uint8Array(8))],
  ['a negative length', npyFile(header.replace('2,', '-2,'), new Uint8Array(8))],
  ['big-endian numbers', npyFile(header.replace('<f4', '>f4'), new Uint8Array(8))],
  ['objects', npyFile(header.replace('<f4', '|O'), new Uint8Array(8))],
])('%s is ARRAY_UNREADABLE', (_, bytes) => {
  expect(() => readNpy(bytes, 'scores')).toThrowError(
    expect.objectContaining({ code: 'ARRAY_UNREADABLE', message: expect.stringContaining('for scores but received') }),
  );
});

test('refuses to write a shape that the data do not fill', () => {
  expect(() => writeNpy({ dtype: 'float32', shape: [2, 2], data: new Float32Array(3) }, 'bank')).toThrowError(
    expect.objectContaining({
      code: 'SHAPE_MISMATCH',
      message: 'Expected 4 values for shape (2, 2) for bank but received 3 values',
    }),
  );
});

test('expectArray passes what fits and names what does not', () => {
  const array = samples[0]!;
  expect(expectArray(array, 'bank', 'float64', [null, 3])).toBe(array);
  const failing: [Dtype, (number | null)[] | undefined, string][] = [
    ['float32', undefined, 'Expected float32 for bank but received float64 of shape (2, 3)'],
    ['float64', [null, 4], 'Expected float64 of shape (any, 4) for bank but received float64 of shape (2, 3)'],
    ['float64', [6], 'Expected float64 of shape (6) for bank but received float64 of shape (2, 3)'],
  ];
  for (const [dtype, shape, message] of failing) {
    expect(() => expectArray(array, 'bank', dtype, shape)).toThrowError(
      expect.objectContaining({ code: 'SHAPE_MISMATCH', message }),
    );
  }
  expect(() => expectArray(undefined, 'bank', 'float32')).toThrowError(
    'Expected float32 for bank but received nothing',
  );
});

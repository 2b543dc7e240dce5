import { PatchlineError } from './errors.js';
import { fromFloat16, toFloat16 } from './float16.js';

/** NumPy's .npy format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html. Little-endian, as every host of Node is. */

interface DataTypes {
  float64: Float64Array;
  float32: Float32Array;
  /** Held as float32, which takes every float16 exactly. */
  float16: Float32Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint16: Uint16Array;
  uint8: Uint8Array;
  /** 0 or 1. */
  bool: Uint8Array;
}
export type Dtype = keyof DataTypes;

/** An array in C order: the last axis varies fastest. A scalar has the shape []. */
export type NpyArray<D extends Dtype = Dtype> = { [K in D]: { dtype: K; shape: number[]; data: DataTypes[K] } }[D];

type Elements = DataTypes[Dtype];
interface Storage {
  descr: string;
  itemBytes: number;
  view: (buffer: ArrayBuffer) => Elements;
}
const storages: Record<Dtype, Storage> = {
  float64: { descr: '<f8', itemBytes: 8, view: (buffer) => new Float64Array(buffer) },
  float32: { descr: '<f4', itemBytes: 4, view: (buffer) => new Float32Array(buffer) },
  float16: { descr: '<f2', itemBytes: 2, view: (buffer) => fromFloat16(new Uint16Array(buffer)) },
  int64: { descr: '<i8', itemBytes: 8, view: (buffer) => new BigInt64Array(buffer) },
  int32: { descr: '<i4', itemBytes: 4, view: (buffer) => new Int32Array(buffer) },
  int8: { descr: '|i1', itemBytes: 1, view: (buffer) => new Int8Array(buffer) },
  uint16: { descr: '<u2', itemBytes: 2, view: (buffer) => new Uint16Array(buffer) },
  uint8: { descr: '|u1', itemBytes: 1, view: (buffer) => new Uint8Array(buffer) },
  bool: { descr: '|b1', itemBytes: 1, view: (buffer) => new Uint8Array(buffer) },
};
const dtypes = Object.keys(storages) as Dtype[];

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]; // \x93NUMPY
const headerAlignment = 64;
/** NumPy leaves room for the first axis to grow to this many digits; the same bytes come out here. */
const growthDigits = 21;

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

/**
 * The array in a .npy file of version 1 or 2; Fortran order is turned into C order. `name` is what an error calls it.
 *
 * Error: ARRAY_UNREADABLE for a damaged file, big-endian numbers or a type that is not in `Dtype`.
 */
export function readNpy(bytes: Uint8Array, name = 'array'): NpyArray {
  const { descr, fortranOrder, shape, start } = readHeader(bytes, name);
  const dtype = dtypes.find((candidate) => storages[candidate].descr === descr);
  if (dtype === undefined) throw unreadable(name, `values of type ${dtypes.join(', ')}, little-endian`, `'${descr}'`);
  const { itemBytes, view } = storages[dtype];
  const dataBytes = sizeOf(shape) * itemBytes;
  if (bytes.length - start !== dataBytes) {
    throw unreadable(
      name,
      `${dataBytes} bytes of data for shape (${shape.join(', ')})`,
      `${bytes.length - start} bytes`,
    );
  }
  const data = view(new Uint8Array(bytes.subarray(start)).buffer); // a copy: the data may lie at an odd offset
  return { dtype, shape, data: fortranOrder ? inCOrder(data, shape) : data } as NpyArray;
}

function readHeader(bytes: Uint8Array, name: string) {
  const major = bytes[6];
  if (bytes.length < 12 || magic.some((byte, i) => bytes[i] !== byte) || (major !== 1 && major !== 2)) {
    throw unreadable(name, 'a .npy file of version 1 or 2', `${bytes.length} bytes that begin otherwise`);
  }
  const prefix = new DataView(bytes.buffer, bytes.byteOffset);
  const [lengthBytes, headerBytes] = major === 1 ? [2, prefix.getUint16(8, true)] : [4, prefix.getUint32(8, true)];
  const start = 8 + lengthBytes + headerBytes;
  const header = Buffer.from(bytes.subarray(8 + lengthBytes, start)).toString('latin1');
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const axes = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (start > bytes.length || descr === undefined || order === undefined || axes === undefined) {
    throw unreadable(
      name,
      "a .npy header with 'descr', 'fortran_order' and 'shape'",
      JSON.stringify(header.slice(0, 80)),
    );
  }
  const shape = axes
    .split(',')
    .filter((axis) => axis.trim() !== '')
    .map(Number);
  return { descr, fortranOrder: order === 'True', shape, start };
}

/** Copies an array in Fortran order (first axis fastest) into C order. */
function inCOrder(data: Elements, shape: readonly number[]): Elements {
  const result = data.slice();
  const strides = shape.map((_, axis) => sizeOf(shape.slice(0, axis)));
  const position = shape.map(() => 0);
  let source = 0;
  for (let i = 0; i < data.length; i++) {
    result[i] = data[source]!;
    // Counts `position` up like an odometer and keeps its Fortran offset.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += strides[axis]!;
      if (++position[axis]! < shape[axis]!) break;
      source -= strides[axis]! * shape[axis]!;
      position[axis] = 0;
    }
  }
  return result;
}

/** A .npy file of version 1, the bytes that NumPy writes for the same array. Error: SHAPE_MISMATCH. */
export function writeNpy({ dtype, shape, data }: NpyArray, name = 'array'): Uint8Array<ArrayBuffer> {
  if (data.length !== sizeOf(shape)) {
    throw mismatch(name, `${sizeOf(shape)} values for shape (${shape.join(', ')})`, `${data.length} values`);
  }
  const axes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const fields = `{'descr': '${storages[dtype].descr}', 'fortran_order': False, 'shape': (${axes}), }`;
  const growth = shape.length === 0 ? 0 : growthDigits - String(shape[0]).length;
  const start = Math.ceil((10 + fields.length + growth + 1) / headerAlignment) * headerAlignment;
  const header = `${fields.padEnd(start - 11)}\n`;

  const stored = dtype === 'float16' ? toFloat16(data as Float32Array) : data;
  const bytes = new Uint8Array(start + stored.byteLength);
  bytes.set([...magic, 1, 0, header.length & 255, header.length >> 8]);
  bytes.set(Buffer.from(header, 'latin1'), 10);
  bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength), start);
  return bytes;
}

/**
 * The array itself, known to have this type and shape; `null` stands for an axis of any length.
 *
 * Error: SHAPE_MISMATCH. It names the array as `name`.
 */
export function expectArray<D extends Dtype>(
  array: NpyArray | undefined,
  name: string,
  dtype: D,
  shape?: readonly (number | null)[],
): NpyArray<D> {
  const fits =
    array?.dtype === dtype &&
    (shape === undefined ||
      (shape.length === array.shape.length &&
        shape.every((length, axis) => length === null || length === array.shape[axis])));
  if (fits) return array as NpyArray<D>;
  const wanted =
    shape === undefined ? dtype : `${dtype} of shape (${shape.map((length) => length ?? 'any').join(', ')})`;
  throw mismatch(name, wanted, array === undefined ? 'nothing' : `${array.dtype} of shape (${array.shape.join(', ')})`);
}

const mismatch = (name: string, wanted: string, received: string) =>
  new PatchlineError('SHAPE_MISMATCH', `Expected ${wanted} for ${name} but received ${received}`);

const unreadable = (name: string, wanted: string, received: string) =>
  new PatchlineError('ARRAY_UNREADABLE', `Expected ${wanted} for ${name} but received ${received}`);

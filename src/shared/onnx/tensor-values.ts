import { PatchlineError } from '../errors.js';
import { fromFloat16 } from '../float16.js';
import { type ElementType, elementTypes, type TensorProto } from './model.js';

/** How the raw bytes of a tensor are read; a copy comes in aligned, and little-endian as every host of Node is. */
const readers: Partial<Record<ElementType, (buffer: ArrayBuffer) => Iterable<number | bigint>>> = {
  float32: (buffer) => new Float32Array(buffer),
  float64: (buffer) => new Float64Array(buffer),
  float16: (buffer) => fromFloat16(new Uint16Array(buffer)),
  int64: (buffer) => new BigInt64Array(buffer),
  int32: (buffer) => new Int32Array(buffer),
  bool: (buffer) => new Uint8Array(buffer),
};

/**
 * The values of a constant in C order, whichever field of the file holds them: float16, float32, float64, int32, int64 or bool.
 *
 * @throws OP_NOT_SUPPORTED for another type, SHAPE_MISMATCH where dims and values differ
 */
export function readTensorValues(tensor: TensorProto): Float64Array<ArrayBuffer> {
  const [type] = Object.entries(elementTypes).find(([, code]) => code === tensor.dataType) ?? [];
  const read = readers[type as ElementType];
  if (!read) {
    throw new PatchlineError(
      'OP_NOT_SUPPORTED',
      `Expected float16, float32, float64, int32, int64 or bool values for the constant ${tensor.name} but received ` +
        `${type ?? `element type ${tensor.dataType}`}`,
    );
  }
  const values = tensor.rawData?.length ? read(new Uint8Array(tensor.rawData).buffer) : typedValues(tensor);
  const count = tensor.dims.reduce((product, size) => product * size, 1);
  const numbers = Float64Array.from(values as Iterable<number>, Number);
  if (numbers.length !== count) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected ${count} values for the constant ${tensor.name} of dims [${tensor.dims}] but received ${numbers.length}`,
    );
  }
  return numbers;
}

function typedValues({ dataType, floatData, doubleData, int32Data, int64Data }: TensorProto): readonly number[] {
  const halves = dataType === elementTypes.float16 ? [...fromFloat16(Uint16Array.from(int32Data ?? []))] : undefined;
  const lists = [halves, floatData, doubleData, int32Data, int64Data];
  return lists.find((list) => list?.length) ?? [];
}

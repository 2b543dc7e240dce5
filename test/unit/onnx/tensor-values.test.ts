import { expect, test } from 'vitest';
import { toFloat16 } from '../../../src/shared/float16.js';
import { tensorOf } from '../../../src/shared/onnx/graph-builder.js';
import { elementTypes, type TensorProto } from '../../../src/shared/onnx/model.js';
import { readTensorValues } from '../../../src/shared/onnx/tensor-values.js';
import { expectClose } from '../../helpers/arrays.js';

const halves = toFloat16(Float32Array.of(1.5, -2, 0));
const of = (dataType: number, fields: Partial<TensorProto>): TensorProto => ({
  name: 't',
  dims: [3],
  dataType,
  ...fields,
});

test.each<[string, TensorProto]>([
  ['float32 bytes', tensorOf(Float32Array.of(1.5, -2, 0), [3])],
  ['float64 bytes', tensorOf(Float64Array.of(1.5, -2, 0), [3])],
  ['float16 bytes', of(elementTypes.float16, { rawData: new Uint8Array(halves.buffer) })],
  ['float32 numbers', of(elementTypes.float32, { floatData: [1.5, -2, 0], rawData: new Uint8Array() })],
  ['float64 numbers', of(elementTypes.float64, { doubleData: [1.5, -2, 0], floatData: [] })],
  ['float16 bits', of(elementTypes.float16, { int32Data: [...halves] })],
])('%s', (_, tensor) => {
  expectClose(readTensorValues(tensor), [1.5, -2, 0]);
});

test.each<[string, TensorProto]>([
  ['int64 bytes', tensorOf(BigInt64Array.of(2n, -3n), [2])],
  ['int32 bytes', tensorOf(Int32Array.of(2, -3), [2])],
  ['int64 numbers', { name: 't', dims: [2], dataType: elementTypes.int64, int64Data: [2, -3] }],
  ['int32 numbers', { name: 't', dims: [2], dataType: elementTypes.int32, int32Data: [2, -3] }],
])('%s', (_, tensor) => {
  expectClose(readTensorValues(tensor), [2, -3]);
});

test('bytes that lie at an odd place are read', () => {
  const bytes = new Uint8Array(9);
  bytes.set(new Uint8Array(Float32Array.of(7, 8).buffer), 1);
  const rawData = bytes.subarray(1);
  expectClose(readTensorValues({ name: 't', dims: [2], dataType: elementTypes.float32, rawData }), [7, 8]);
});

test('another type and a wrong count are refused', () => {
  const wrongType = expect.objectContaining({ code: 'OP_NOT_SUPPORTED', message: expect.stringContaining('string') });
  expect(() => readTensorValues(of(elementTypes.string, {}))).toThrowError(wrongType);
  const wrongCount = expect.objectContaining({ code: 'SHAPE_MISMATCH', message: expect.stringContaining('[3]') });
  expect(() => readTensorValues(of(elementTypes.float32, { floatData: [1, 2] }))).toThrowError(wrongCount);
});

import { PatchlineError } from './errors.js';

/**
 * IEEE 754 binary16: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits. History and results keep their vectors in this form.
 */

/** Rounds to the nearest float16, ties to even; too large becomes infinity, too small a subnormal or zero of the same sign. */
export function toFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = halfOf(bits[i]!);
  return halves;
}

function halfOf(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65,536 and more
  const exponent = magnitude >>> 23;
  // Below 2^-14 a float16 counts in steps of 2^-24: the fraction moves right until its unit is that step.
  const isNormal = exponent >= 113;
  const shift = isNormal ? 13 : 126 - exponent;
  if (shift > 24) return sign;
  const fraction = isNormal ? magnitude - (112 << 23) : (magnitude & 0x7fffff) | 0x800000;
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const roundsUp = rest > half || (rest === half && (kept & 1) === 1);
  return sign | (kept + Number(roundsUp)); // a carry moves into the exponent, up to infinity, as it should
}

/** Every float16 is exact in float32. */
export function fromFloat16(halves: Uint16Array): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = numberOf(halves[i]!);
  return values;
}

function numberOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 0x3ff;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Base64 of the little-endian float16 values. */
export function encodeFloat16(values: Float32Array): string {
  return Buffer.from(toFloat16(values).buffer).toString('base64');
}

/** Inverse of `encodeFloat16`. Error: ARRAY_UNREADABLE. */
export function decodeFloat16(text: string): Float32Array<ArrayBuffer> {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length % 2 !== 0 || bytes.toString('base64') !== text) {
    throw new PatchlineError(
      'ARRAY_UNREADABLE',
      `Expected base64 of float16 values but received ${JSON.stringify(text.slice(0, 40))} of ${text.length} characters`,
    );
  }
  return fromFloat16(new Uint16Array(new Uint8Array(bytes).buffer));
}

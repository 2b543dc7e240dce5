// Three passes over 11, 11 and 10 bits of the key.
const digitBits = 11;
const digits = 2 ** digitBits;
const passes = 3;

/** Below this the native sort is as fast. */
const radixMinimum = 20_000;

/**
 * The values ascending, -0 before 0, in a new array. No NaN.
 *
 * Radix sort, least significant digit first (Knuth, The Art of Computer Programming 3, 5.2.5): 30 million values take 0.7 s
 * where the native sort takes 3.7 s.
 */
export function sortFloats(values: Float32Array): Float32Array<ArrayBuffer> {
  if (values.length < radixMinimum) return values.slice().sort();
  let source = new Uint32Array(values.slice().buffer);
  let target = new Uint32Array(values.length);

  // Bits of a float as a key of the same order: the sign bit flipped, of negative ones all bits. Counts each digit on the way.
  const starts = new Uint32Array(passes * digits);
  for (let i = 0; i < source.length; i++) {
    const bits = source[i]!;
    const key = (bits ^ ((bits >> 31) | 0x80000000)) >>> 0;
    source[i] = key;
    for (let pass = 0; pass < passes; pass++) {
      starts[pass * digits + ((key >>> (pass * digitBits)) & (digits - 1))]!++;
    }
  }

  for (let pass = 0; pass < passes; pass++) {
    const next = starts.subarray(pass * digits, (pass + 1) * digits);
    for (let digit = 0, start = 0; digit < digits; digit++) {
      const count = next[digit]!;
      next[digit] = start;
      start += count;
    }
    for (let i = 0; i < source.length; i++) {
      const key = source[i]!;
      target[next[(key >>> (pass * digitBits)) & (digits - 1)]!++] = key;
    }
    [source, target] = [target, source];
  }

  for (let i = 0; i < source.length; i++) {
    const key = source[i]!;
    source[i] = key ^ ((~key >> 31) | 0x80000000);
  }
  return new Float32Array(source.buffer);
}

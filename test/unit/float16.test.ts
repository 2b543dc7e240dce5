import { expect, test } from 'vitest';
import { decodeFloat16, encodeFloat16, fromFloat16, toFloat16 } from '../../src/shared/float16.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { expectClose } from '../helpers/arrays.js';

const allHalves = Uint16Array.from({ length: 65_536 }, (_, i) => i);
const isNan = (half: number) => (half & 0x7fff) > 0x7c00;

test('known values of float16', () => {
  const pairs: [number, number][] = [
    [1, 0x3c00],
    [-2, 0xc000],
    [65_504, 0x7bff], // largest
    [2 ** -14, 0x0400], // smallest normal
    [2 ** -24, 0x0001], // smallest subnormal
    [1023 * 2 ** -24, 0x03ff], // largest subnormal
    [Number.POSITIVE_INFINITY, 0x7c00],
    [Number.NEGATIVE_INFINITY, 0xfc00],
    [0, 0],
    [-0, 0x8000],
    [1 / 3, 0x3555],
  ];
  expectClose(
    toFloat16(Float32Array.from(pairs, ([value]) => value)),
    pairs.map(([, half]) => half),
  );
  expect(Object.is(fromFloat16(new Uint16Array([0x8000]))[0], -0)).toBe(true);
});

test('every float16 survives float32 and comes back as the same bits', () => {
  const back = toFloat16(fromFloat16(allHalves));
  const numbers = allHalves.filter((half) => !isNan(half));
  expectClose(
    back.filter((_, i) => !isNan(i)),
    numbers,
  );
  expect([...back].every((half, i) => isNan(half) === isNan(i))).toBe(true);
});

test('halfway between two float16 goes to the even one, beside it to the nearer one', () => {
  // The float32 neighbours of the middle between consecutive positive float16 values; above the largest comes infinity.
  for (let half = 0; half < 0x7c00; half++) {
    const value = fromFloat16(new Uint16Array([half]))[0]!;
    const next = half + 1 === 0x7c00 ? 65_536 : fromFloat16(new Uint16Array([half + 1]))[0]!;
    const middle = new Float32Array([(value + next) / 2]);
    const bits = new Uint32Array(middle.buffer)[0]!;
    const around = new Float32Array(new Uint32Array([bits - 1, bits, bits + 1]).buffer);
    const even = half % 2 === 0 ? half : half + 1;
    if (toFloat16(around).join() !== [half, even, half + 1].join()) {
      expect.fail(`around the middle above ${half}: ${toFloat16(around).join()}`);
    }
    for (let i = 0; i < 3; i++) around[i]! *= -1;
    expect(toFloat16(around)[1]).toBe(even | 0x8000);
  }
});

test('random values differ by half a unit in the last place at most', () => {
  const random = createRandom(1);
  const values = Float32Array.from({ length: 20_000 }, () => random.normal() * 2 ** (random.integer(24) - 16));
  expectClose(fromFloat16(toFloat16(values)), values, { atol: 2 ** -25, rtol: 2 ** -11 });
});

test('base64 and back', () => {
  const values = new Float32Array([1, -2.5, 0, 65_504, 2 ** -24]);
  expect(encodeFloat16(values)).toBe('ADwAwQAA/3sBAA==');
  expectClose(decodeFloat16(encodeFloat16(values)), values);
  expect(decodeFloat16('')).toHaveLength(0);
});

test.each(['ADw', 'AD==', 'A!wA', 'ADwA'])('%s is no base64 of float16', (text) => {
  expect(() => decodeFloat16(text)).toThrowError(expect.objectContaining({ code: 'ARRAY_UNREADABLE' }));
});

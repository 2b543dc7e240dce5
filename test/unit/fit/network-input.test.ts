import { expect, test } from 'vitest';
import { chooseInput } from '../../../src/fit/network-input.js';

const size = (height: number, width: number) => ({ height, width });

test.each([
  ['square images', [size(512, 512)], size(224, 224), 1],
  ['2448 × 2048', [size(2048, 2448), size(2048, 2448)], size(192, 256), 2448 / 2048],
  ['a tall part', [size(400, 100)], size(448, 128), 1 / 4],
  ['a strip', [size(10, 4000)], size(32, 4480), 400],
  ['aspects within 5 %', [size(100, 100), size(100, 105), size(200, 204)], size(224, 224), 1.02],
])('%s keep their aspect', (_, sizes, input, aspect) => {
  expect(chooseInput(sizes, 224)).toEqual({ input, aspect });
});

test('aspects that differ by more than 5 % are squashed', () => {
  const expected = { input: size(224, 224), aspect: null };
  expect(chooseInput([size(100, 100), size(100, 106)], 224)).toEqual(expected);
  expect(chooseInput([size(300, 200), size(200, 300), size(200, 200)], 320)).toEqual(expected);
});

test('a larger area is kept in aspect too', () => {
  expect(chooseInput([size(512, 512)], 320)).toEqual({ input: size(320, 320), aspect: 1 });
  expect(chooseInput([size(2048, 2448)], 320).input).toEqual(size(288, 352));
});

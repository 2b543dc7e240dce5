import sharp from 'sharp';
import { expect, test } from 'vitest';
import { markedDefectPng } from '../../../src/shared/plots/marked-defect.js';
import { palette } from '../../../src/shared/plots/palette.js';
import { expectClose } from '../../helpers/arrays.js';

const drawing = (rows: string[]) => [...rows.join('')];

test('a line goes around the defect and leaves it as it is', async () => {
  // o: defect, x: line
  const want = drawing(['xoxxxx', 'xxxxox', '...xxx', '......']);
  const size = { height: 4, width: 6 };
  const pixels = Uint8Array.from({ length: 4 * 6 * 3 }, (_, i) => i);
  const mask = Uint8Array.from(want, (sign) => (sign === 'o' ? 255 : 0));
  const colour = Buffer.from(palette.suspicious.slice(1), 'hex');
  const png = await markedDefectPng(pixels, mask, size);
  const got = await sharp(png).raw().toBuffer();
  expectClose(
    got,
    Array.from(pixels, (value, i) => (want[Math.floor(i / 3)] === 'x' ? colour[i % 3]! : value)),
  );
  await expect(markedDefectPng(pixels, mask.subarray(1), size)).rejects.toThrowError('mask');
});

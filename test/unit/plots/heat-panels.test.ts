import sharp from 'sharp';
import { expect, test } from 'vitest';
import { jetTable } from '../../../src/shared/kernels/jet.js';
import { heatPanelsPng } from '../../../src/shared/plots/heat-panels.js';

test('panels stand side by side, three in a row, over a scale from the lowest to the highest colour', async () => {
  const colours = [
    [200, 0, 0],
    [0, 200, 0],
    [0, 0, 200],
    [90, 90, 90],
  ];
  const panels = colours.map((colour, i) => ({
    title: `panel ${i}`,
    pixels: Uint8Array.from({ length: 4 * 8 * 3 }, (_, k) => colour[k % 3]!),
  }));
  const png = await heatPanelsPng({
    title: 'Title',
    subtitle: 'what it is',
    panels,
    size: { height: 4, width: 8 },
    scale: { low: '0', high: '1' },
  });
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => {
    const first = (y * info.width + x) * info.channels;
    return [...data.subarray(first, first + 3)];
  };
  const middleOf = (index: number) => [16 + (index % 3) * 336 + 160, 114 + Math.floor(index / 3) * 206 + 80] as const;
  for (const [index, colour] of colours.entries()) expect(at(...middleOf(index))).toEqual(colour);
  const scale = info.height - 58 + 12 + 7;
  expect(at(18, scale)).toEqual([...jetTable.subarray(0, 3)]);
  expect(at(16 + 238, scale)).toEqual([...jetTable.subarray(3 * 255)]);
});

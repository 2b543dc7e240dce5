/** OpenCV's COLORMAP_JET as RGB (256, 3): straight ramps of 4 a level, with one entry that OpenCV rounds down. */
export const jetTable: Uint8Array = (() => {
  const table = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    table[3 * i] = Math.min(4 * i - 382, 1148 - 4 * i);
    table[3 * i + 1] = Math.min(4 * i - 128, 892 - 4 * i);
    table[3 * i + 2] = Math.min(4 * i + 128, 638 - 4 * i);
  }
  table[3 * 159 + 2] = 1;
  return new Uint8Array(table.buffer);
})();

/**
 * Levels 0 .. 255 as RGB.
 *
 * @param levels (H, W) @returns (H, W, 3)
 */
export function jet(levels: Uint8Array): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(levels.length * 3);
  for (let i = 0; i < levels.length; i++) {
    const entry = 3 * levels[i]!;
    rgb[3 * i] = jetTable[entry]!;
    rgb[3 * i + 1] = jetTable[entry + 1]!;
    rgb[3 * i + 2] = jetTable[entry + 2]!;
  }
  return rgb;
}

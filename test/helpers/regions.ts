import { labelRegions } from '../../src/shared/kernels/connected-region.js';

interface Size {
  height: number;
  width: number;
}

/** The box of the region of map >= level around the map's largest value, in whole pixels of an original of another size. */
export function regionBox(map: Float32Array, { height, width }: Size, level: number, original: Size): number[] {
  const mask = Uint8Array.from(map, (value) => (value >= level ? 1 : 0));
  const { labels } = labelRegions(mask, height, width);
  const label = labels[map.indexOf(Math.max(...map))]!;
  if (label === 0) throw new Error('Expected the peak to reach the level');
  const inside = [...labels.keys()].filter((pixel) => labels[pixel] === label);
  const columns = inside.map((pixel) => pixel % width);
  const rows = inside.map((pixel) => Math.floor(pixel / width));
  const [across, down] = [original.width / width, original.height / height];
  const left = Math.floor(Math.min(...columns) * across);
  const top = Math.floor(Math.min(...rows) * down);
  const right = Math.ceil((Math.max(...columns) + 1) * across);
  const bottom = Math.ceil((Math.max(...rows) + 1) * down);
  return [left, top, right - left, bottom - top];
}

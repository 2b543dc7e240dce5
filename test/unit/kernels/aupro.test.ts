import { expect, test } from 'vitest';
import { aupro } from '../../../src/shared/kernels/aupro.js';
import { auroc } from '../../../src/shared/kernels/auroc.js';
import { labelRegions } from '../../../src/shared/kernels/connected-region.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

/** Labels renumbered by the first pixel they have, so that two of the same partition are equal. */
function partition(labels: ArrayLike<number | bigint>): number[] {
  const numbers = new Map<string, number>([['0', 0]]);
  return Array.from(labels, (label) => {
    if (!numbers.has(String(label))) numbers.set(String(label), numbers.size);
    return numbers.get(String(label))!;
  });
}

test.each(goldenCases('aupro'))('golden case $name', (golden) => {
  const { data: maps, shape } = golden.float32('maps');
  const [B, H, W] = shape as [number, number, number];
  const masks = golden.uint8('masks').data;

  const components: number[] = [];
  let regions = 0;
  for (let b = 0; b < B; b++) {
    const { labels, sizes } = labelRegions(masks.subarray(b * H * W, (b + 1) * H * W), H, W);
    for (const label of labels) components.push(label === 0 ? 0 : label + regions);
    regions += sizes.length;
  }
  expectClose(partition(components), partition(golden.output('components').data), {}, 'components');

  golden.check({ aupro: aupro(maps, masks, H, W, golden.params.fprLimit)!, pixel_auroc: auroc(maps, masks)! }, [
    'components', // compared above, as a partition
    'fpr',
    'pro',
  ]);
  // The curve is kept for this: its own area is the reference to float32 rounding, much closer than the tolerance of the case.
  const area = areaUnder(golden.output('fpr').data as Float32Array, golden.output('pro').data as Float32Array, 0.3);
  expectClose([aupro(maps, masks, H, W)!], [area / 0.3], { atol: 1e-6 });
});

/** Trapezoids up to the limit, the last one cut. */
function areaUnder(x: Float32Array, y: Float32Array, limit: number): number {
  let area = 0;
  for (let i = 1; i < x.length && x[i - 1]! < limit; i++) {
    const share = x[i]! > limit ? (limit - x[i - 1]!) / (x[i]! - x[i - 1]!) : 1;
    area += (x[i]! - x[i - 1]!) * share * (y[i - 1]! + (share * (y[i]! - y[i - 1]!)) / 2);
  }
  return area;
}

const random = createRandom(1);
const [B, H, W] = [2, 6, 8];

test('with one region and the whole range of rates it is the pixel AUROC', () => {
  const maps = Float32Array.from({ length: H * W }, () => random.integer(10));
  const mask = Uint8Array.from({ length: H * W }, (_, i) => (i < 13 ? 1 : 0));
  expectClose([aupro(maps, mask, H, W, 1)!], [auroc(maps, mask)!], { atol: 1e-12 });
});

test('a small region counts as much as a large one', () => {
  // The first region, one pixel, is found before all others; the second, 8 pixels, only after every normal one.
  const masks = new Uint8Array(B * H * W).fill(1, 2 * W, 3 * W);
  masks[H * W + 3] = 1;
  const maps = Float32Array.from(masks, (label, i) => (label === 0 ? 1 : i < H * W ? 0 : 2));
  expectClose([aupro(maps, masks, H, W)!], [0.5], { atol: 1e-12 });
});

test('no anomalous or no normal pixel has no AUPRO', () => {
  expect(aupro(new Float32Array(6), new Uint8Array(6), 2, 3)).toBeNull();
  expect(aupro(new Float32Array(6), new Uint8Array(6).fill(1), 2, 3)).toBeNull();
});

test('lengths are checked', () => {
  expect(() => aupro(new Float32Array(7), new Uint8Array(6), 2, 3)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
  expect(() => aupro(new Float32Array(12), new Uint8Array(6), 2, 3)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});

import { labelRegions } from './connected-region.js';
import { expectShape } from './shape.js';
import { sortByLabel } from './sorted-scores.js';

// B maps of (H, W).

/**
 * Area under the per-region overlap curve up to a false positive rate (Bergmann et al., MVTec AD, IJCV 2021), divided by that
 * rate: every defect region counts the same, however large. Regions are 8-connected; the curve is linear between its points.
 *
 * The area is a sum over anomalous pixels, so that no curve is built and only the scores of normal pixels are sorted. As the
 * threshold falls past a pixel's score, the overlap of its region rises by 1 / pixels of the region while the false positive
 * rate goes from `above` (normal scores larger) to `reached` (larger or equal).
 *
 * @param maps (B, H, W)
 * @param masks (B, H, W), 0 where normal
 * @param limit the false positive rate, in (0, 1]
 * @returns null where no pixel is anomalous, or none normal
 * @throws SHAPE_MISMATCH
 */
export function aupro(maps: Float32Array, masks: Uint8Array, H: number, W: number, limit = 0.3): number | null {
  const B = Math.floor(maps.length / (H * W));
  expectShape('maps', maps, { B, H, W });
  expectShape('masks', masks, { B, H, W });
  const { normal, anomalous } = sortByLabel(maps, masks);
  if (normal.length === 0 || anomalous.length === 0) return null;

  let regions = 0;
  let area = 0;
  for (let b = 0; b < B; b++) {
    const first = b * H * W;
    const { labels, sizes } = labelRegions(masks.subarray(first, first + H * W), H, W);
    regions += sizes.length;
    for (let i = 0; sizes.length > 0 && i < labels.length; i++) {
      if (labels[i] === 0) continue;
      const score = maps[first + i]!;
      const above = 1 - countBelow(normal, score, true) / normal.length;
      const reached = 1 - countBelow(normal, score, false) / normal.length;
      area += areaRightOf(above, reached, limit) / sizes[labels[i]! - 1]!;
    }
  }
  return area / regions / limit;
}

/** The area up to `limit` under a step of height 1 that rises linearly from `begin` to `end`. */
function areaRightOf(begin: number, end: number, limit: number): number {
  if (begin >= limit) return 0;
  if (end <= limit) return limit - (begin + end) / 2;
  return (limit - begin) ** 2 / (2 * (end - begin));
}

/** How many of the ascending values are smaller than `value`, or smaller or equal. */
function countBelow(ascending: Float32Array | Float64Array, value: number, orEqual: boolean): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = ascending[middle]!;
    if (found < value || (orEqual && found === value)) low = middle + 1;
    else high = middle;
  }
  return low;
}

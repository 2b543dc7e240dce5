/** An image cut into regions: each pixel has the number 0 .. count - 1 of its segment, and every number occurs. */
export interface Segmentation {
  /** (H, W) */
  labels: Int32Array;
  count: number;
}

/** The same regions numbered in the order in which their first pixels come. */
export function renumber(labels: Int32Array): Segmentation {
  const numbers = new Map<number, number>();
  const renumbered = labels.map((label) => {
    const number = numbers.get(label) ?? numbers.size;
    if (number === numbers.size) numbers.set(label, number);
    return number;
  });
  return { labels: renumbered, count: numbers.size };
}

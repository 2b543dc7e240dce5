/**
 * Adjusted Rand index of two segmentations: 1 where they are the same, about 0 where they agree by chance only. (Hubert and
 * Arabie, J. Classification 2, 193, 1985.)
 */
export function adjustedRand(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const pairs = (count: number) => (count * (count - 1)) / 2;
  const pairsWithin = (keyOf: (i: number) => string) => {
    const counts = new Map<string, number>();
    for (let i = 0; i < a.length; i++) counts.set(keyOf(i), (counts.get(keyOf(i)) ?? 0) + 1);
    return [...counts.values()].reduce((sum, count) => sum + pairs(count), 0);
  };
  const both = pairsWithin((i) => `${a[i]} ${b[i]}`);
  const [inA, inB] = [pairsWithin((i) => String(a[i])), pairsWithin((i) => String(b[i]))];
  const byChance = (inA * inB) / pairs(a.length);
  return (both - byChance) / ((inA + inB) / 2 - byChance);
}

/** Share of the edges between segments of `want` that have an edge of `got` within `tolerance` pixels. (H, W) each. */
export function boundaryRecall(
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  H: number,
  W: number,
  tolerance: number,
): number {
  const isEdge = (labels: ArrayLike<number>, y: number, x: number) => {
    const own = labels[y * W + x];
    return (y + 1 < H && labels[(y + 1) * W + x] !== own) || (x + 1 < W && labels[y * W + x + 1] !== own);
  };
  const isNear = (y: number, x: number) => {
    for (let v = Math.max(0, y - tolerance); v <= Math.min(H - 1, y + tolerance); v++) {
      for (let u = Math.max(0, x - tolerance); u <= Math.min(W - 1, x + tolerance); u++) {
        if (isEdge(got, v, u)) return true;
      }
    }
    return false;
  };
  let [edges, found] = [0, 0];
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      if (!isEdge(want, y, x)) continue;
      edges++;
      if (isNear(y, x)) found++;
    }
  }
  return found / edges;
}

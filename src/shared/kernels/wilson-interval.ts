/** The 97.5 % quantile of the normal distribution: 95 % lie within this many deviations. */
const z = 1.959963984540054;

/**
 * The 95 % score interval of a rate of `count` in `total` (Wilson 1927): unlike count / total ± 1.96 deviations it stays within
 * 0 .. 1 and holds for small counts, 0 among them.
 *
 * @returns [low, high]; null where total is 0
 */
export function wilsonInterval(count: number, total: number): [low: number, high: number] | null {
  if (total === 0) return null;
  const rate = count / total;
  const centre = rate + z ** 2 / (2 * total);
  const reach = z * Math.sqrt((rate * (1 - rate)) / total + z ** 2 / (4 * total ** 2));
  const scale = 1 + z ** 2 / total;
  // Rounding would leave 1e-17 where the ends are exact.
  return [count === 0 ? 0 : (centre - reach) / scale, count === total ? 1 : (centre + reach) / scale];
}

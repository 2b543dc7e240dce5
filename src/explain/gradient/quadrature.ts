/** Points in 0 .. 1 and their weights, which sum to 1. */
export interface Quadrature {
  points: Float64Array;
  weights: Float64Array;
}

/** `steps` equal steps, so steps + 1 points; the two ends count half. */
export function trapezoid(steps: number): Quadrature {
  const points = Float64Array.from({ length: steps + 1 }, (_, k) => k / steps);
  const weights = points.map((_, k) => (k === 0 || k === steps ? 0.5 : 1) / steps);
  return { points, weights };
}

/**
 * Gauss-Legendre: exact for polynomials up to degree 2 n - 1. The points are the roots of the Legendre polynomial, found by
 * Newton's method from their asymptotic places. (Press et al., Numerical Recipes, 3rd ed., section 4.6.1.)
 */
export function gaussLegendre(n: number): Quadrature {
  const [points, weights] = [new Float64Array(n), new Float64Array(n)];
  for (let i = 0; i < n; i++) {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let step = 1;
    let slope = 0;
    for (let round = 0; round < 100 && Math.abs(step) > 1e-15; round++) {
      const [value, before] = legendre(n, x);
      slope = (n * (x * value - before)) / (x * x - 1);
      step = value / slope;
      x -= step;
    }
    points[n - 1 - i] = (1 + x) / 2;
    weights[n - 1 - i] = 1 / ((1 - x * x) * slope * slope);
  }
  return { points, weights };
}

/** P_n(x) and P_(n-1)(x), by their recurrence. */
function legendre(n: number, x: number): [number, number] {
  let [value, before] = [1, 0];
  for (let j = 0; j < n; j++) [value, before] = [((2 * j + 1) * x * value - j * before) / (j + 1), value];
  return [value, before];
}

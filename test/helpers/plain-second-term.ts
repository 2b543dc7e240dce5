import { Matrix, solve } from 'ml-matrix';

/** The second term in plain form: whole images are rows of K = P·d numbers. */

export type Row = ArrayLike<number>;
export const meanOf = (rows: Row[]) =>
  Float64Array.from(rows[0]!, (_, k) => rows.reduce((sum, row) => sum + row[k]! / rows.length, 0));
export const minus = (a: Row, b: Row) => Float64Array.from(a, (value, k) => value - b[k]!);

/** Residuals by a subspace. With every direction kept, what is taken away is Xᵀ (XXᵀ + λ I)⁻¹ X v: no eigenvectors are needed. */
export function plainResidual(learned: Row[]): (image: Row) => Float64Array {
  const mean = meanOf(learned);
  const X = new Matrix(learned.map((image) => [...minus(image, mean)]));
  const G = X.mmul(X.transpose());
  const ridge = Matrix.eye(learned.length).mul((0.03 * G.trace()) / learned.length);
  return (image) => {
    const v = Matrix.columnVector([...minus(image, mean)]);
    const taken = X.transpose().mmul(solve(Matrix.add(G, ridge), X.mmul(v)));
    return Float64Array.from(Matrix.sub(v, taken).to1DArray());
  };
}

/** μ (K) and, at each position of d dimensions, C⁻¹. */
export function plainStatistics(residuals: Row[], d: number) {
  const n = residuals.length;
  const P = residuals[0]!.length / d;
  const overall = Array.from(
    { length: d },
    (_, i) =>
      residuals.reduce(
        (sum, row) => sum + Array.from(row).reduce((part, value, k) => part + (k % d === i ? value : 0), 0),
        0,
      ) /
      (n * P),
  );
  const means = meanOf(residuals).map((mean, k) => (n * mean + 10 * overall[k % d]!) / (n + 10));
  const scatters = Array.from({ length: P }, (_, p) => {
    const rows = new Matrix(residuals.map((row) => [...minus(row, means).subarray(p * d, (p + 1) * d)]));
    return rows.transpose().mmul(rows);
  });
  const pooled = scatters.reduce((sum, scatter) => Matrix.add(sum, scatter), Matrix.zeros(d, d)).div(n * P);
  const ridge = Matrix.eye(d).mul((0.02 * pooled.trace()) / d);
  const inverses = scatters.map((scatter) =>
    solve(Matrix.add(Matrix.add(scatter, Matrix.mul(pooled, 100)).div(n + 100), ridge), Matrix.eye(d)),
  );
  return { means, inverses };
}

export function plainDistances(residual: Row, { means, inverses }: ReturnType<typeof plainStatistics>): Float64Array {
  const centred = minus(residual, means);
  const d = inverses[0]!.rows;
  return Float64Array.from(inverses, (inverse, p) => {
    const x = Matrix.columnVector([...centred.subarray(p * d, (p + 1) * d)]);
    return Math.sqrt(x.transpose().mmul(inverse.mmul(x)).get(0, 0));
  });
}

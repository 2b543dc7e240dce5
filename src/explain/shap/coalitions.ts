// m background rows, D features, K outputs, V varying features, C coalitions.

/** A model of rows: (count, D) -> (count, K). */
export type RowFunction = (rows: Float64Array) => Promise<Float64Array>;

/** A row to explain against a background. */
export interface CoalitionGame {
  model: RowFunction;
  /** (D) */
  x: Float64Array;
  /** (m, D) */
  background: Float64Array;
  /** (V): features in which some background row differs from x. All others have the Shapley value 0. */
  varying: Int32Array;
}

export function createGame(model: RowFunction, x: Float64Array, background: Float64Array): CoalitionGame {
  const D = x.length;
  const differs = (j: number) => {
    for (let i = j; i < background.length; i += D) if (!Object.is(background[i], x[j])) return true;
    return false;
  };
  return { model, x, background, varying: Int32Array.from(x.keys()).filter(differs) };
}

const runRows = 8192;

/**
 * v(S) of coalitions: the mean output over the background with the features of S replaced by those of x.
 *
 * @param members (C, V): 1 where a varying feature is in the coalition
 * @returns (C, K)
 */
export async function coalitionMeans(
  { model, x, background, varying }: CoalitionGame,
  members: Uint8Array,
): Promise<Float64Array<ArrayBuffer>> {
  const [D, V] = [x.length, varying.length];
  const m = background.length / D;
  const C = members.length / V;
  const step = Math.max(1, Math.floor(runRows / m));
  let means = new Float64Array(0);
  for (let first = 0; first < C; first += step) {
    const count = Math.min(step, C - first);
    const rows = new Float64Array(count * m * D);
    for (let c = 0; c < count; c++) {
      rows.set(background, c * m * D);
      for (let v = 0; v < V; v++) {
        if (!members[(first + c) * V + v]) continue;
        const j = varying[v]!;
        for (let i = c * m * D + j; i < (c + 1) * m * D; i += D) rows[i] = x[j]!;
      }
    }
    const outputs = await model(rows);
    const K = outputs.length / (count * m);
    if (first === 0) means = new Float64Array(C * K);
    for (let i = 0; i < outputs.length; i++) {
      means[(first + Math.floor(i / (m * K))) * K + (i % K)]! += outputs[i]! / m;
    }
  }
  return means;
}

/** Every coalition of V features by bitmask, bit v for feature v: (2^V, V). */
export function allCoalitions(V: number): Uint8Array {
  const members = new Uint8Array(2 ** V * V);
  for (let i = 0; i < members.length; i++) members[i] = (Math.floor(i / V) >>> (i % V)) & 1;
  return members;
}

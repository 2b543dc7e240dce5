/** Bits of a float32 by which distances are told apart: lists then hold distances within 0.2 % of each other. */
const droppedBits = 15;

/** Rows to take from, and the squared distance that all rows left behind lie below. */
export interface FarthestRows {
  rows: number[];
  floor: number;
}

export interface FarthestQueue {
  /** Adds a row by its bound; one whose bound is 0 is a copy of what was taken and stays out. */
  add(row: number): void;
  /** Takes out the farthest rows: at least `wanted` of them if there are so many, and all that share a list with the last. */
  take(wanted: number): FarthestRows;
}

/**
 * The rows with the largest bounds first (a bucket queue, Dial 1969): one list for each leading bits of a float, which for
 * positive numbers order as the numbers do.
 *
 * @param bounds (n) squared distances, at least 0; read when a row is added
 */
export function createFarthestQueue(bounds: Float32Array): FarthestQueue {
  const bits = new Uint32Array(bounds.buffer, bounds.byteOffset, bounds.length);
  const first = new Int32Array(2 ** (32 - droppedBits)).fill(-1);
  const next = new Int32Array(bounds.length);
  let top = 0;
  return {
    add(row) {
      if (bits[row] === 0) return;
      const list = bits[row]! >>> droppedBits;
      next[row] = first[list]!;
      first[list] = row;
      if (list > top) top = list;
    },
    take(wanted) {
      const rows: number[] = [];
      let lowest = top + 1;
      while (lowest > 0 && rows.length < wanted) {
        lowest--;
        for (let row = first[lowest]!; row >= 0; row = next[row]!) rows.push(row);
        first[lowest] = -1;
      }
      top = lowest;
      return { rows, floor: floatOf(lowest << droppedBits) };
    },
  };
}

/** The next larger float32 of a number that is not negative. */
export function nextFloat(value: number): number {
  return floatOf(new Uint32Array(Float32Array.of(value).buffer)[0]! + 1);
}

const floatOf = (bits: number): number => new Float32Array(Uint32Array.of(bits).buffer)[0]!;

import type { TreeEnsemble } from './tree-ensemble.js';

// R rows, W words of 32 bits. The different features on the way to a node are its slots 0, 1, 2, …

/**
 * The rows at a node of a tree, in classes: two rows are of one class where they fail the same slots, that is where they would
 * leave the way to the node by splits of the same features. What a node means for a row depends on its class alone, so that
 * Shapley values are worked out once a class and not once a row.
 */
export interface RowClasses {
  /** (R) row numbers. A class owns some segments of it. */
  order: Int32Array;
  count: number;
  /** (count, W): bit s is set where the class fails slot s. The classes stand in ascending order of these. */
  fails: Int32Array;
  /** (count + 1): class c owns the segments firsts[c] .. firsts[c + 1]. */
  firsts: Int32Array;
  starts: Int32Array;
  ends: Int32Array;
  /** Filled by `splitRows`: where the rows of each segment that go to the false child begin, */
  cuts: Int32Array;
  /** and the order in which they do. */
  cutOrder: Int32Array;
}

export function createClasses(R: number, W: number): RowClasses {
  return {
    order: Int32Array.from({ length: R }, (_, row) => row),
    count: 0,
    fails: new Int32Array(R * W),
    firsts: new Int32Array(R + 1),
    starts: new Int32Array(R),
    ends: new Int32Array(R),
    cuts: new Int32Array(R),
    cutOrder: new Int32Array(R),
  };
}

/** All rows in one class that fails nothing: the classes at a root. */
export function startClasses(classes: RowClasses, rows: number): void {
  classes.count = 1;
  classes.starts[0] = 0;
  classes.ends[0] = rows;
  classes.firsts[1] = 1;
  classes.fails.fill(0, 0, classes.fails.length / classes.order.length);
}

/**
 * Cuts the segments at a node by its split. Those of classes that have failed the slot before stay whole.
 *
 * @param columns (D, R): the values of each feature
 * @param slot the slot of the node's feature
 */
export function splitRows(
  trees: TreeEnsemble,
  node: number,
  columns: Float64Array,
  classes: RowClasses,
  slot: number,
): void {
  const { order, fails, firsts, starts, ends, cuts, cutOrder } = classes;
  const W = fails.length / order.length;
  const column = trees.features[node]! * order.length;
  const lower = trees.lower[node]!;
  const upper = trees.upper[node]!;
  const missingIsTrue = trees.missingIsTrue[node] === 1;
  for (let c = 0; c < classes.count; c++) {
    const isGone = (fails[c * W + (slot >>> 5)]! >>> (slot & 31)) & 1;
    for (let s = firsts[c]!; s < firsts[c + 1]!; s++) {
      const start = starts[s]!;
      const end = ends[s]!;
      if (isGone) {
        for (let i = start; i < end; i++) cutOrder[i] = order[i]!;
        continue;
      }
      // Rows of the true child from the front, the others from the back.
      let low = start;
      let high = end;
      for (let i = start; i < end; i++) {
        const row = order[i]!;
        const value = columns[column + row]!;
        // biome-ignore lint/suspicious/noSelfCompare: only NaN differs from itself
        if ((value >= lower && value <= upper) || (missingIsTrue && value !== value)) cutOrder[low++] = row;
        else cutOrder[--high] = row;
      }
      cuts[s] = low;
    }
  }
}

/**
 * The classes at a child from those at its node, after `splitRows`. Rows that fail the split join those that had failed its
 * slot before.
 *
 * @param from classes at the node @param to classes at the child, filled here
 */
export function stepInto(from: RowClasses, to: RowClasses, isTrueChild: boolean, slot: number): void {
  const { count } = from;
  const bit = 1 << (slot & 31);
  const word = slot >>> 5;
  to.order = from.cutOrder;
  to.count = 0;
  // Merges three ascending lists: the classes that pass, the same ones where they fail, and those gone before.
  let passing = nextClass(from, 0, word, bit, 0);
  let failing = passing;
  let gone = nextClass(from, 0, word, bit, bit);
  while (passing < count || failing < count || gone < count) {
    const order = failing >= count ? 1 : gone >= count ? -1 : compareFails(from, failing, bit, gone, bit, word);
    const leaver = order <= 0 ? failing : gone;
    if (passing < count && (leaver >= count || compareFails(from, passing, 0, leaver, bit, word) < 0)) {
      const segments = addSegments(from, passing, to, 0, isTrueChild);
      closeClass(from, passing, to, segments, word, 0);
      passing = nextClass(from, passing + 1, word, bit, 0);
      continue;
    }
    let segments = 0;
    if (order <= 0) {
      segments = addSegments(from, failing, to, segments, !isTrueChild);
      failing = nextClass(from, failing + 1, word, bit, 0);
    }
    if (order >= 0) {
      segments = addWhole(from, gone, to, segments);
      gone = nextClass(from, gone + 1, word, bit, bit);
    }
    closeClass(from, leaver, to, segments, word, bit);
  }
}

/** The next class from `c` on whose bit is `want`. */
function nextClass({ count, fails, cuts }: RowClasses, c: number, word: number, bit: number, want: number): number {
  const W = fails.length / cuts.length;
  let there = c;
  while (there < count && (fails[there * W + word]! & bit) !== want) there++;
  return there;
}

/** The order of two classes, were `bitA` and `bitB` set in them. */
function compareFails(
  { fails, cuts }: RowClasses,
  a: number,
  bitA: number,
  b: number,
  bitB: number,
  word: number,
): number {
  const W = fails.length / cuts.length;
  for (let w = W - 1; w >= 0; w--) {
    const failsA = (fails[a * W + w]! | (w === word ? bitA : 0)) >>> 0;
    const failsB = (fails[b * W + w]! | (w === word ? bitB : 0)) >>> 0;
    if (failsA !== failsB) return failsA < failsB ? -1 : 1;
  }
  return 0;
}

/** Adds one side of each segment of a class to the class that is being made of `segments` so far; returns how many it has. */
function addSegments(from: RowClasses, c: number, to: RowClasses, segments: number, isTrueSide: boolean): number {
  const base = to.firsts[to.count]!;
  let last = base + segments;
  for (let s = from.firsts[c]!; s < from.firsts[c + 1]!; s++) {
    const start = isTrueSide ? from.starts[s]! : from.cuts[s]!;
    const end = isTrueSide ? from.cuts[s]! : from.ends[s]!;
    if (start === end) continue;
    to.starts[last] = start;
    to.ends[last++] = end;
  }
  return last - base;
}

function addWhole(from: RowClasses, c: number, to: RowClasses, segments: number): number {
  const base = to.firsts[to.count]!;
  let last = base + segments;
  for (let s = from.firsts[c]!; s < from.firsts[c + 1]!; s++) {
    to.starts[last] = from.starts[s]!;
    to.ends[last++] = from.ends[s]!;
  }
  return last - base;
}

/** Ends the class that is being made, unless it has no rows. It fails what `like` fails, and `bit`. */
function closeClass(from: RowClasses, like: number, to: RowClasses, segments: number, word: number, bit: number): void {
  if (segments === 0) return;
  const W = to.fails.length / to.cuts.length;
  const c = to.count++;
  for (let w = 0; w < W; w++) to.fails[c * W + w] = from.fails[like * W + w]!;
  to.fails[c * W + word]! |= bit;
  to.firsts[c + 1] = to.firsts[c]! + segments;
}

/** Whether no slot is failed by class c and by class d of others. */
export function canMeet(classes: RowClasses, c: number, others: RowClasses, d: number): boolean {
  const W = classes.fails.length / classes.cuts.length;
  for (let w = 0; w < W; w++) if ((classes.fails[c * W + w]! & others.fails[d * W + w]!) !== 0) return false;
  return true;
}

/** How many slots class c fails. */
export function failCount({ fails, cuts }: RowClasses, c: number): number {
  const W = fails.length / cuts.length;
  let count = 0;
  for (let w = c * W; w < (c + 1) * W; w++) for (let rest = fails[w]!; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/**
 * Drops, after a step by the split of `slot`, the classes that can meet none of the others any more. Those that passed the split
 * meet whom they met before.
 */
export function dropClasses(classes: RowClasses, others: RowClasses, slot: number): void {
  const { fails, firsts, starts, ends } = classes;
  const W = fails.length / classes.cuts.length;
  let kept = 0;
  let segments = 0;
  let end = 0;
  for (let c = 0; c < classes.count; c++) {
    const start = end;
    end = firsts[c + 1]!;
    const passed = ((fails[c * W + (slot >>> 5)]! >>> (slot & 31)) & 1) === 0;
    if (!passed && !canMeetAny(classes, c, others)) continue;
    for (let w = 0; w < W; w++) fails[kept * W + w] = fails[c * W + w]!;
    for (let s = start; s < end; s++) {
      starts[segments] = starts[s]!;
      ends[segments++] = ends[s]!;
    }
    firsts[++kept] = segments;
  }
  classes.count = kept;
}

function canMeetAny(classes: RowClasses, c: number, others: RowClasses): boolean {
  const W = classes.fails.length / classes.cuts.length;
  const firstFails = classes.fails[c * W]!;
  const { count, fails } = others;
  for (let d = 0; d < count; d++) {
    if ((firstFails & fails[d * W]!) === 0 && (W === 1 || canMeet(classes, c, others, d))) return true;
  }
  return false;
}

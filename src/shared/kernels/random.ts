/**
 * Seeded random numbers that are the same on every platform and release of Node: integer arithmetic, division and square
 * roots only, since the last digit of Math.log or Math.cos is left to the engine.
 */
export interface Random {
  /** Uniform in [0, 1), 53 random bits. */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
  /** Uniform integer in [0, n). */
  integer(n: number): number;
  /** 0 .. n-1 in random order. */
  permutation(n: number): Int32Array<ArrayBuffer>;
}

/**
 * A generator of its own for each integer seed.
 *
 * xoshiro128** 1.1 (Blackman and Vigna, prng.di.unimi.it), its state filled by SplitMix64 as its authors advise.
 */
export function createRandom(seed: number): Random {
  const next = createXoshiro128(splitMix64(seed));

  const uniform = () => {
    const high = next() >>> 5;
    const low = next() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  };

  /** Leva's ratio of uniforms: ACM Trans. Math. Softw. 18 (1992) 449. The logarithm only accepts or rejects, it is in no value. */
  const normal = () => {
    for (;;) {
      const u = 1 - uniform();
      const v = 1.7156 * (uniform() - 0.5);
      const x = u - 0.449871;
      const y = Math.abs(v) + 0.386595;
      const q = x * x + y * (0.196 * y - 0.25472 * x);
      if (q < 0.27597 || (q <= 0.27846 && v * v <= -4 * u * u * Math.log(u))) return v / u;
    }
  };

  const integer = (n: number) => Math.floor(uniform() * n);

  /** Fisher-Yates, from the end. */
  const permutation = (n: number) => {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = integer(i + 1);
      const value = order[i]!;
      order[i] = order[j]!;
      order[j] = value;
    }
    return order;
  };

  return { uniform, normal, integer, permutation };
}

/**
 * Gaussian random projection: a matrix (D, d) with entries N(0, 1/d), so that rows times it keep their distances on average
 * (Johnson and Lindenstrauss 1984).
 */
export function randomProjection(D: number, d: number, random: Random): Float32Array<ArrayBuffer> {
  const scale = 1 / Math.sqrt(d);
  return Float32Array.from({ length: D * d }, () => random.normal() * scale);
}

/** Draws 32-bit integers. `state` holds four, not all zero, and is advanced in place. */
export function createXoshiro128(state: Uint32Array): () => number {
  return () => {
    const s0 = state[0]!;
    const s1 = state[1]!;
    const s2 = state[2]!;
    const s3 = state[3]!;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    state[0] = s0 ^ s3 ^ s1;
    state[1] = s1 ^ s2 ^ s0;
    state[2] = s2 ^ s0 ^ (s1 << 9);
    state[3] = rotateLeft(s3 ^ s1, 11);
    return result;
  };
}

const rotateLeft = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** Two 64-bit outputs of SplitMix64 (Steele, Lea and Flood 2014) as four 32-bit words, low word first. */
export function splitMix64(seed: number): Uint32Array {
  const outputs = new BigUint64Array(2);
  let state = BigInt(seed);
  for (let i = 0; i < 2; i++) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    outputs[i] = z ^ (z >> 31n);
  }
  return new Uint32Array(outputs.buffer);
}

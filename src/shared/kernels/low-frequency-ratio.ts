import { expectShape } from './shape.js';

// A picture is (H, W); K is the radius of the disc in whole frequencies, (u, v) a frequency down and across.

/**
 * How much of the spectral energy of a picture, its mean left out, is coarse: the sum of |FFT|² over frequencies with
 * u² + v² <= (min(H, W) / 8)², over the sum of all. Near 0 for noise, near 1 for a smooth or regular surface, 0 for a
 * constant picture.
 *
 * The whole sum is H W Σ (p - mean)² (Parseval), so that only the disc has to be transformed: as two products with small
 * DFT matrices. A real picture has the same energy at (u, v) and (-u, -v), hence v >= 0 only.
 *
 * @param grey (H, W)
 * @throws SHAPE_MISMATCH
 */
export function lowFrequencyRatio(grey: Uint8Array, H: number, W: number): number {
  expectShape('grey', grey, { H, W });
  let sum = 0;
  for (let i = 0; i < grey.length; i++) sum += grey[i]!;
  const mean = sum / (H * W);
  let energy = 0;
  for (let i = 0; i < grey.length; i++) energy += (grey[i]! - mean) ** 2;
  if (energy === 0) return 0;
  return discEnergy(grey, mean, H, W) / (H * W * energy);
}

/** The sum of |DFT of (grey - mean)|² over the disc. */
function discEnergy(grey: Uint8Array, mean: number, H: number, W: number): number {
  const radius = Math.min(H, W) / 8;
  const K = Math.floor(radius);
  const across = transformRows(grey, mean, H, W, K);
  const down = waves(H, K, H);
  let energy = 0;
  for (let v = 0; v <= K; v++) {
    const uMax = Math.floor(Math.sqrt(radius ** 2 - v ** 2));
    for (let u = 0; u <= uMax; u++) {
      // Σ_y (re + i im)(cos ∓ i sin) for u and for -u
      let [reCos, reSin, imCos, imSin] = [0, 0, 0, 0];
      for (let y = 0; y < H; y++) {
        const re = across.re[v * H + y]!;
        const im = across.im[v * H + y]!;
        const cos = down.cos[u * H + y]!;
        const sin = down.sin[u * H + y]!;
        reCos += re * cos;
        reSin += re * sin;
        imCos += im * cos;
        imSin += im * sin;
      }
      const atU = (reCos + imSin) ** 2 + (imCos - reSin) ** 2;
      const atMinusU = (reCos - imSin) ** 2 + (imCos + reSin) ** 2;
      energy += (u === 0 ? atU : atU + atMinusU) * (v === 0 ? 1 : 2);
    }
  }
  return energy;
}

/**
 * The DFT of each row at v = 0 .. K, as (K + 1, H). Pixels x and W - x meet the same cosine and opposite sines: their sums
 * and differences are transformed, which halves the work.
 */
function transformRows(grey: Uint8Array, mean: number, H: number, W: number, K: number) {
  const half = Math.floor(W / 2) + 1;
  const count = half + (half % 2); // even, for the pairs below
  const { cos, sin } = waves(W, K, count);
  const even = new Float64Array(count);
  const odd = new Float64Array(count);
  const re = new Float64Array((K + 1) * H);
  const im = new Float64Array((K + 1) * H);
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < half; x++) {
      const left = grey[y * W + x]! - mean;
      const mirror = (W - x) % W;
      const right = mirror === x ? 0 : grey[y * W + mirror]! - mean;
      even[x] = left + right;
      odd[x] = left - right;
    }
    for (let v = 0; v <= K; v++) {
      // Two running sums each: one alone would wait for its own last addition.
      let [cos0, cos1, sin0, sin1] = [0, 0, 0, 0];
      for (let x = 0, i = v * count; x < count; x += 2, i += 2) {
        cos0 += even[x]! * cos[i]!;
        cos1 += even[x + 1]! * cos[i + 1]!;
        sin0 += odd[x]! * sin[i]!;
        sin1 += odd[x + 1]! * sin[i + 1]!;
      }
      re[v * H + y] = cos0 + cos1;
      im[v * H + y] = -sin0 - sin1;
    }
  }
  return { re, im };
}

/** cos and sin of 2π k n / N for k = 0 .. K, as (K + 1, count). */
function waves(N: number, K: number, count: number) {
  const cos = new Float64Array((K + 1) * count);
  const sin = new Float64Array((K + 1) * count);
  const circle = Float64Array.from({ length: N }, (_, i) => (2 * Math.PI * i) / N);
  const [cosines, sines] = [circle.map(Math.cos), circle.map(Math.sin)];
  for (let k = 0, i = 0; k <= K; k++) {
    for (let n = 0; n < count; n++, i++) {
      cos[i] = cosines[(k * n) % N]!;
      sin[i] = sines[(k * n) % N]!;
    }
  }
  return { cos, sin };
}

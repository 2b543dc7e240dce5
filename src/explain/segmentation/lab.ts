import { rowCount } from '../../shared/kernels/shape.js';

/**
 * Colours as people tell them apart: sRGB (IEC 61966-2-1) to CIELAB under D65 (CIE 15). L runs from 0 to 100.
 *
 * @param rgb 0 .. 1, (P, 3) @returns L, a and b, (P, 3)
 * @throws SHAPE_MISMATCH
 */
export function toLab(rgb: Float32Array): Float32Array<ArrayBuffer> {
  const P = rowCount('rgb', rgb, 3);
  const lab = new Float32Array(P * 3);
  for (let i = 0; i < P * 3; i += 3) {
    const r = linear(rgb[i]!);
    const g = linear(rgb[i + 1]!);
    const b = linear(rgb[i + 2]!);
    const x = cubeRoot((0.412453 * r + 0.35758 * g + 0.180423 * b) / 0.95047);
    const y = cubeRoot(0.212671 * r + 0.71516 * g + 0.072169 * b);
    const z = cubeRoot((0.019334 * r + 0.119193 * g + 0.950227 * b) / 1.08883);
    lab[i] = 116 * y - 16;
    lab[i + 1] = 500 * (x - y);
    lab[i + 2] = 200 * (y - z);
  }
  return lab;
}

const linear = (value: number): number => (value > 0.04045 ? ((value + 0.055) / 1.055) ** 2.4 : value / 12.92);

/** Straight near black, as CIELAB has it. */
const cubeRoot = (value: number): number => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116);

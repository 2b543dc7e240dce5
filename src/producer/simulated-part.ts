import { between, blurRows, type Random, smoothNoise, smoothStep, whiteNoise } from './seeded-noise.js';
import type { DefectLayer } from './simulated-defects.js';

/** Size of a simulated image. */
export const partImage = { height: 480, width: 640 } as const;
const { height: H, width: W } = partImage;

/** Where the light comes from: above left. Unit vector in image axes (x right, y down), from the part towards the light. */
export const light = { x: -0.6, y: -0.8 } as const;

/**
 * How one part lies under the camera. Part coordinates (u right, v down, pixels) have their origin at its centre:
 * u = (x - x0) cos + (y - y0) sin, v = (y - y0) cos - (x - x0) sin.
 */
export interface Pose {
  x0: number;
  y0: number;
  cos: number;
  sin: number;
  halfWidth: number;
  halfHeight: number;
  cornerRadius: number;
  holes: { u: number; v: number; radius: number }[];
}

/** A part placed by hand or a gripper: some pixels and about a degree off, machined to within a pixel. */
export function drawPose(random: Random): Pose {
  const angle = between(random, -0.022, 0.022);
  return {
    x0: W / 2 + between(random, -7, 7),
    y0: H / 2 + between(random, -6, 6),
    cos: Math.cos(angle),
    sin: Math.sin(angle),
    halfWidth: 262 + between(random, -0.6, 0.6),
    halfHeight: 192 + between(random, -0.6, 0.6),
    cornerRadius: 26 + between(random, -1, 1),
    holes: [
      { u: -196, v: -126, radius: 23 + between(random, -0.5, 0.5) },
      { u: 196, v: 126, radius: 23 + between(random, -0.5, 0.5) },
    ],
  };
}

/** Signed distance to the part's outline, negative inside. */
export function outlineDistance({ halfWidth, halfHeight, cornerRadius }: Pose, u: number, v: number): number {
  const across = Math.abs(u) - halfWidth + cornerRadius;
  const down = Math.abs(v) - halfHeight + cornerRadius;
  const outside = across > 0 && down > 0 ? Math.sqrt(across * across + down * down) : Math.max(across, down);
  return outside - cornerRadius;
}

/** How much an edge that faces (du, dv) in part coordinates looks into the light: -1 to 1. */
function facing({ cos, sin }: Pose, du: number, dv: number): number {
  return (du * cos - dv * sin) * light.x + (du * sin + dv * cos) * light.y;
}

/** The machined edge: a chamfer of some pixels, bright where it faces the light. Factor on the metal's brightness. */
function chamfer(pose: Pose, u: number, v: number, distance: number): number {
  const across = Math.abs(u) - pose.halfWidth + pose.cornerRadius;
  const down = Math.abs(v) - pose.halfHeight + pose.cornerRadius;
  let du = across > down ? Math.sign(u) : 0;
  let dv = across > down ? 0 : Math.sign(v);
  if (across > 0 && down > 0) {
    const length = Math.sqrt(across * across + down * down);
    du = (Math.sign(u) * across) / length;
    dv = (Math.sign(v) * down) / length;
  }
  return 1 + 0.42 * facing(pose, du, dv) * smoothStep(-6.5, -4.5, distance);
}

/** Brightness factor of the metal in and round a drilled hole: countersunk ring, dark bore, lit far wall. */
function drilled(pose: Pose, u: number, v: number): number {
  for (const hole of pose.holes) {
    const du = u - hole.u;
    const dv = v - hole.v;
    const radius = Math.sqrt(du * du + dv * dv);
    if (radius > hole.radius + 6) continue;
    const towardsLight = radius > 0 ? facing(pose, du / radius, dv / radius) : 0;
    const ring = 1 - 0.4 * towardsLight * (1 - smoothStep(hole.radius + 4, hole.radius + 5.5, radius));
    const wall = 0.1 + 0.3 * Math.max(0, -towardsLight) * smoothStep(hole.radius * 0.55, hole.radius, radius);
    const bore = 1 - smoothStep(hole.radius - 0.8, hole.radius + 0.8, radius);
    return ring * (1 - bore) + wall * bore;
  }
  return 1;
}

/** Brushed surface: streaks of several lengths along u, of mean 0 and a deviation near 1. */
function brushedGrain(random: Random): Float32Array {
  const white = whiteNoise(random, H * W);
  const short = blurRows(white, H, W, 7);
  const middle = blurRows(white, H, W, 38);
  const long = blurRows(white, H, W, 190);
  const streaks = new Float32Array(H * W);
  for (let i = 0; i < streaks.length; i++) {
    const streak = 0.4 * short[i]! + 0.6 * middle[i]! + 0.7 * long[i]!;
    streaks[i] = 1.3 * streak + 0.2 * streak * Math.abs(streak); // strong ones stand out
  }
  // The lens does not part single rows
  const grain = new Float32Array(H * W);
  for (let i = 0; i < grain.length; i++) {
    const above = streaks[i < W ? i : i - W]!;
    const below = streaks[i + W < grain.length ? i + W : i]!;
    grain[i] = 0.5 * streaks[i]! + 0.25 * (above + below);
  }
  return grain;
}

/** Light over the whole view, 1 on average: uneven lamps, and a broad reflection across the grain that wanders a little. */
function illumination(random: Random): Float32Array {
  const uneven = smoothNoise(random, H, W, 4);
  const gain = between(random, 0.95, 1.05);
  const [slopeX, slopeY] = [between(random, -0.05, 0.05), between(random, -0.05, 0.02)];
  const centre = between(random, 0.36, 0.5) * W;
  const lean = between(random, -0.25, -0.05);
  const spread = between(random, 115, 160);
  const strength = between(random, 0.16, 0.26);
  const field = new Float32Array(H * W);
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const offset = (x - centre - lean * (y - H / 2)) / spread;
      const reflection = strength / (1 + offset * offset) ** 2;
      const slope = (slopeX * (2 * x - W)) / W + (slopeY * (2 * y - H)) / H;
      field[y * W + x] = gain * (0.92 + slope + 0.06 * uneven[y * W + x]! + reflection);
    }
  }
  return field;
}

/** The rubber belt at (x, y): dark, faintly ribbed, dusty, and shaded by the part above it. Brightness 0 to 1. */
function belt(pose: Pose, x: number, y: number, dust: number, phase: number): number {
  const [dx, dy] = [x - pose.x0 + 7 * light.x, y - pose.y0 + 7 * light.y];
  const distance = outlineDistance(pose, dx * pose.cos + dy * pose.sin, dy * pose.cos - dx * pose.sin);
  const shadow = 0.6 + 0.4 * smoothStep(-4, 16, distance);
  const rib = 0.012 * Math.sin((y + phase) * (Math.PI / 6));
  return (0.15 + rib + (dust > 3 ? 0.1 : 0.009 * dust)) * shadow;
}

/**
 * Renders a part lying on the belt, (H, W, 3) uint8, with a defect or without. All that varies between good parts comes
 * from `random`, so that a part and its damaged twin differ by the defect alone.
 */
export function renderPart(random: Random, pose: Pose, defect: DefectLayer | null): Uint8Array {
  const grain = brushedGrain(random);
  const lit = illumination(random);
  const dust = whiteNoise(random, H * W);
  const beltPhase = between(random, 0, 12);
  const tarnish = smoothNoise(random, H, W, 9);
  const sensor = whiteNoise(random, H * W);
  const grainStrength = between(random, 0.045, 0.07);
  const albedo = between(random, 0.55, 0.6);
  const warmth = between(random, -0.012, 0.004);
  const pixels = new Uint8ClampedArray(H * W * 3); // rounds and clamps
  for (let y = 0; y < H; y++) {
    for (let x = 0; x < W; x++) {
      const i = y * W + x;
      const u = (x - pose.x0) * pose.cos + (y - pose.y0) * pose.sin;
      const v = (y - pose.y0) * pose.cos - (x - pose.x0) * pose.sin;
      const distance = outlineDistance(pose, u, v);

      // Belt: wherever the metal does not cover the whole pixel
      const covered = (1 - smoothStep(-0.8, 0.8, distance)) * (1 - (defect?.missing[i] ?? 0));
      const under = covered < 1 ? (1 - covered) * lit[i]! * belt(pose, x, y, dust[i]!, beltPhase) : 0;

      // Metal: grain along the part's own axes, between two rows of it so that it does not break into steps
      const row = (v + H) | 0;
      const texel = (row % H) * W + (((u + W) | 0) % W);
      const next = ((row + 1) % H) * W + (((u + W) | 0) % W);
      const streak = grain[texel]! + (v + H - row) * (grain[next]! - grain[texel]!);
      const surface = 1 + grainStrength * streak + 0.02 * tarnish[i]!;
      const form = distance > -7 ? chamfer(pose, u, v, distance) : drilled(pose, u, v);
      const metal = albedo * lit[i]! * surface * form * covered;

      // Sensor: its noise grows with the light
      const shade = defect?.shade[i] ?? 0;
      const defectWarmth = shade * (defect?.warmth ?? 0);
      const noise = sensor[i]! * (1.1 + metal);
      pixels[3 * i] = 255 * (metal * (1 + shade - defectWarmth) * (1 + warmth) + under) + noise;
      pixels[3 * i + 1] = 255 * (metal * (1 + shade) + under) + noise;
      pixels[3 * i + 2] = 255 * (metal * (1 + shade + defectWarmth) * (1 - warmth) + under * 1.06) + noise;
    }
  }
  return new Uint8Array(pixels.buffer);
}

import { between, pick, type Random, smoothNoise, smoothStep } from './seeded-noise.js';
import { light, outlineDistance, type Pose, partImage } from './simulated-part.js';

export const defectTypes = ['scratch', 'pit', 'stain', 'dent', 'missing-corner'] as const;
export type DefectType = (typeof defectTypes)[number];

const { height: H, width: W } = partImage;

/** What a defect does to each pixel of the metal, (H, W) fields. */
export interface DefectLayer {
  /** Change of brightness as a share of it: -0.2 is a fifth darker. */
  shade: Float32Array;
  /** Share of the metal that is gone. */
  missing: Float32Array;
  /** Share of the shade that blue takes more and red less. */
  warmth: number;
  /** 255 where the part is damaged, else 0; shade and missing are 0 outside. */
  mask: Uint8Array;
}

interface Place {
  u: number;
  v: number;
}

/** Draws one defect of the given type somewhere on the part: size, strength and shape vary. */
export function drawDefect(type: DefectType, random: Random, pose: Pose): DefectLayer {
  const layer = {
    shade: new Float32Array(H * W),
    missing: new Float32Array(H * W),
    warmth: type === 'stain' ? between(random, 0, 0.32) : 0,
    mask: new Uint8Array(H * W),
  };
  draw[type](layer, random, pose);
  return layer;
}

type Draw = (layer: DefectLayer, random: Random, pose: Pose) => void;
const draw: Record<DefectType, Draw> = {
  scratch: drawScratch,
  pit: drawPits,
  stain: drawStain,
  dent: drawDent,
  'missing-corner': drawMissingCorner,
};

/** Calls `visit` with each pixel within `reach` of a place, and its part coordinates from there. */
function visitAround(
  { cos, sin, x0, y0 }: Pose,
  { u, v }: Place,
  reach: number,
  visit: (i: number, du: number, dv: number) => void,
): void {
  const x = x0 + u * cos - v * sin;
  const y = y0 + u * sin + v * cos;
  for (let row = Math.max(0, Math.floor(y - reach)); row <= Math.min(H - 1, y + reach); row++) {
    for (let column = Math.max(0, Math.floor(x - reach)); column <= Math.min(W - 1, x + reach); column++) {
      const [dx, dy] = [column - x, row - y];
      visit(row * W + column, dx * cos + dy * sin, dy * cos - dx * sin);
    }
  }
}

/** A place on the flat face: `margin` away from the outline and the holes. */
function placeOnFace(random: Random, pose: Pose, margin: number): Place {
  for (;;) {
    const u = between(random, -pose.halfWidth, pose.halfWidth);
    const v = between(random, -pose.halfHeight, pose.halfHeight);
    const clear = pose.holes.every((hole) => Math.hypot(u - hole.u, v - hole.v) > hole.radius + 8 + margin);
    if (clear && outlineDistance(pose, u, v) < -8 - margin) return { u, v };
  }
}

/** Radius by angle of a blob with an irregular edge: 1 on average. */
function irregularEdge(random: Random, roughness: number): (angle: number) => number {
  const waves = [2, 3, 5, 7].map((times) => ({
    times,
    phase: between(random, 0, 2 * Math.PI),
    size: (roughness * between(random, 0.4, 1)) / Math.sqrt(times),
  }));
  return (angle) => waves.reduce((sum, { times, phase, size }) => sum + size * Math.cos(times * angle + phase), 1);
}

/** A slightly bent line, ploughed and burred: a bright flank beside a dark one, fading at both ends. */
function drawScratch({ shade, mask }: DefectLayer, random: Random, pose: Pose): void {
  const length = between(random, 50, 190);
  const place = placeOnFace(random, pose, 25);
  const angle = pick(random, [-1, 1]) * between(random, 0.35, 1.45);
  const bend = between(random, -0.12, 0.12);
  const width = between(random, 0.9, 1.9);
  const strength = pick(random, [1, 1, -1]) * between(random, 0.26, 0.6);
  const pressure = smoothNoise(random, 2, 64, 9);
  visitAround(pose, place, length / 2 + 5, (i, du, dv) => {
    const along = (du * Math.cos(angle) + dv * Math.sin(angle)) / (length / 2);
    const off = dv * Math.cos(angle) - du * Math.sin(angle) - bend * (length / 2) * (1 - along * along);
    if (Math.abs(along) >= 1 || Math.abs(off) > 3.2 * width) return;
    if (outlineDistance(pose, place.u + du, place.v + dv) > -2 || inHole(pose, place.u + du, place.v + dv)) return;
    const force = Math.max(0, (1 - along ** 4) * (0.75 + 0.35 * pressure[Math.floor((along + 1) * 31.9)]!));
    const bright = Math.exp(-((off / width) ** 2));
    const dark = Math.exp(-(((off - 1.5 * width) / width) ** 2));
    setShade(shade, mask, i, strength * force * (bright - 0.6 * dark));
  });
}

function inHole({ holes }: Pose, u: number, v: number): boolean {
  return holes.some((hole) => Math.hypot(u - hole.u, v - hole.v) < hole.radius + 6);
}

/** Changes below 2 % (three grey levels on bright metal) are left out, so that the mask holds what can be seen. */
function setShade(shade: Float32Array, mask: Uint8Array, i: number, value: number): void {
  if (Math.abs(value) < 0.02) return;
  shade[i] = value;
  mask[i] = 255;
}

/** One to four small dark craters close together, each with a lit far rim. */
function drawPits({ shade, mask }: DefectLayer, random: Random, pose: Pose): void {
  const centre = placeOnFace(random, pose, 30);
  const count = pick(random, [1, 2, 3, 4]);
  for (let n = 0; n < count; n++) {
    const spread = n === 0 ? 0 : 24;
    const place = {
      u: centre.u + between(random, -spread, spread),
      v: centre.v + between(random, -spread, spread),
    };
    const radius = n === 0 ? between(random, 4, 8.5) : between(random, 3, 5);
    const depth = between(random, 0.35, 0.65);
    const edge = irregularEdge(random, 0.16);
    visitAround(pose, place, radius * 1.6 + 4, (i, du, dv) => {
      const r = Math.hypot(du, dv);
      const beyond = r - radius * edge(Math.atan2(dv, du));
      const towardsLight = r > 0 ? (du * light.x + dv * light.y) / r : 0;
      const crater = depth * (1 - smoothStep(-1.6, 0.6, beyond)) * (1 + 0.35 * towardsLight);
      const rim = 0.3 * Math.max(0, -towardsLight) * Math.exp(-(((beyond - 0.8) / 1.1) ** 2));
      if (crater + rim > Math.abs(shade[i]!)) setShade(shade, mask, i, rim - crater);
    });
  }
}

/** Dried fluid: an irregular, mottled, slightly brown patch with a darker border. */
function drawStain({ shade, mask }: DefectLayer, random: Random, pose: Pose): void {
  const radius = between(random, 18, 46);
  const place = placeOnFace(random, pose, radius * 0.6);
  const stretch = between(random, 0.65, 1);
  const angle = between(random, 0, Math.PI);
  const strength = between(random, 0.11, 0.25);
  const border = between(random, 0.3, 1);
  const edge = irregularEdge(random, 0.17);
  const mottle = smoothNoise(random, H, W, 40);
  visitAround(pose, place, radius * 2, (i, du, dv) => {
    if (outlineDistance(pose, place.u + du, place.v + dv) > -2 || inHole(pose, place.u + du, place.v + dv)) return;
    const across = du * Math.cos(angle) + dv * Math.sin(angle);
    const down = (dv * Math.cos(angle) - du * Math.sin(angle)) / stretch;
    const beyond = Math.hypot(across, down) - radius * edge(Math.atan2(down, across));
    const inside = 1 - smoothStep(-3, 2.5, beyond);
    const dried = border * Math.exp(-(((beyond + 3) / 2.5) ** 2));
    setShade(shade, mask, i, -strength * inside * (0.7 + 0.3 * mottle[i]! + 0.6 * dried));
  });
}

/** A smooth hollow: the flank towards the light is dark, the far one bright. */
function drawDent({ shade, mask }: DefectLayer, random: Random, pose: Pose): void {
  const radius = between(random, 16, 38);
  const place = placeOnFace(random, pose, radius);
  const stretch = between(random, 0.65, 1);
  const angle = between(random, 0, Math.PI);
  const depth = between(random, 0.2, 0.38);
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  visitAround(pose, place, radius + 1, (i, du, dv) => {
    const across = (du * cos + dv * sin) / radius;
    const down = (dv * cos - du * sin) / (radius * stretch);
    const square = across * across + down * down;
    if (square > 0.94) return; // flat from here on
    // Slope of the hollow (1 - r^2)^2, steepest at r = 0.58, turned back to the part's axes
    const fall = (1 - square) / 0.385;
    const [slopeU, slopeV] = [across * cos - down * sin, across * sin + down * cos];
    shade[i] = -depth * (fall * (slopeU * light.x + slopeV * light.y) + 0.25 * (1 - square) ** 2);
    mask[i] = 255;
  });
}

/** A corner broken off along a rough line, its fracture partly lit. */
function drawMissingCorner({ shade, missing, mask }: DefectLayer, random: Random, pose: Pose): void {
  const [signU, signV] = [pick(random, [-1, 1]), pick(random, [-1, 1])];
  const [legU, legV] = [between(random, 34, 76), between(random, 34, 76)];
  const corner = { u: signU * pose.halfWidth, v: signV * pose.halfHeight };
  const length = Math.hypot(legU, legV);
  const fracture = between(random, 2.5, 6);
  const rough = smoothNoise(random, 2, 128, 22);
  const coarse = smoothNoise(random, 2, 128, 6);
  const facets = smoothNoise(random, H, W, 90);
  visitAround(pose, corner, 1.2 * length + 10, (i, du, dv) => {
    const distance = outlineDistance(pose, corner.u + du, corner.v + dv);
    if (distance > 0.8) return;
    const [inU, inV] = [-signU * du, -signV * dv];
    const along = Math.min(127, Math.max(0, 64 + (64 * (inU * legU - inV * legV)) / (length * length)));
    const jag = 1.6 * rough[Math.floor(along)]! + 3.5 * coarse[Math.floor(along)]!;
    const beyond = (inU * legV + inV * legU - legU * legV) / length + jag;
    if (beyond > fracture) return;
    mask[i] = 255;
    missing[i] = 1 - smoothStep(-0.8, 0.8, beyond);
    shade[i] = (0.28 * facets[i]! - 0.12) * (1 - smoothStep(fracture - 1.5, fracture, beyond));
  });
}

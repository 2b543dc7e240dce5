import type { Random } from '../shared/kernels/random.js';
import { expectShape } from '../shared/kernels/shape.js';

// Images are RGB (H, W, 3); masks and opacities are (H, W).

export const syntheticKinds = ['patch', 'scar', 'spot'] as const;

export interface SyntheticDefect {
  kind: (typeof syntheticKinds)[number];
  /** The image with the defect. */
  image: Uint8Array<ArrayBuffer>;
  /** 1 on the defect, 0 elsewhere. */
  mask: Uint8Array<ArrayBuffer>;
}

/**
 * A good image with a made-up defect, to learn from where there are no real ones: a rectangle or a ragged scar cut from
 * `texture` and pasted (CutPaste, arXiv:2104.04015), or a spot in the shape of smooth noise, filled with it (DRAEM,
 * arXiv:2108.07610). What is pasted is brighter or darker than what it covers, from barely visible to plain, more often the
 * former; so even a texture that equals the image gives a defect.
 *
 * @param image (H, W, 3) @param texture (H, W, 3), another good image or the same
 * @throws SHAPE_MISMATCH
 */
export function syntheticDefect(
  image: Uint8Array,
  texture: Uint8Array,
  H: number,
  W: number,
  random: Random,
): SyntheticDefect {
  expectShape('image', image, { H, W, channels: 3 });
  expectShape('texture', texture, { H, W, channels: 3 });
  const kind = syntheticKinds[random.integer(syntheticKinds.length)]!;
  const opacity = shapes[kind](H, W, random);
  const piece = cutOut(texture, opacity, H, W, random);
  return {
    kind,
    image: paste(image, piece, opacity, random),
    mask: Uint8Array.from(opacity, (value) => (value >= 0.5 ? 1 : 0)),
  };
}

const shapes = {
  patch(H: number, W: number, random: Random): Float32Array {
    const length = Math.min(H, W) * between(random, 0.06, 0.3);
    const width = length / between(random, 1, 3);
    return drawAcross(
      H,
      W,
      random,
      (along, across) => Math.min(length / 2 - Math.abs(along), width / 2 - Math.abs(across)) + 0.5,
    );
  },

  /** A bent line that wavers by more than its width. */
  scar(H: number, W: number, random: Random): Float32Array {
    const length = Math.min(H, W) * between(random, 0.1, 0.5);
    const width = Math.min(H, W) * between(random, 0.008, 0.025);
    const bend = between(random, -0.5, 0.5) / length;
    const waver = between(random, 0, 4) * width;
    const noise = createValueNoise(H, W, length / between(random, 3, 8), random);
    return drawAcross(H, W, random, (along, across, y, x) => {
      const rest = length / 2 - Math.abs(along);
      if (rest < -1) return 0;
      const offset = across + bend * along ** 2 + waver * (noise(y, x) - 0.5);
      return Math.min(rest, width / 2 - Math.abs(offset)) + 0.5;
    });
  },

  /** A blot, small ones more often, with edges from ragged and sharp to faded. */
  spot(H: number, W: number, random: Random): Float32Array {
    const radius = Math.min(H, W) * (0.025 + 0.2 * random.uniform() ** 2);
    const stretch = between(random, 1, 3);
    const coarse = createValueNoise(H, W, radius * between(random, 0.3, 0.8), random);
    const fine = createValueNoise(H, W, Math.max(radius / 6, 2), random);
    const sharpness = 1 / between(random, 0.05, 0.5);
    return drawAcross(H, W, random, (along, across, y, x) => {
      const roundness = 1.2 - Math.sqrt(along ** 2 + (stretch * across) ** 2) / radius;
      if (roundness < -0.7) return 0;
      return sharpness * (roundness + (coarse(y, x) - 0.5) + 0.4 * (fine(y, x) - 0.5));
    });
  },
};

type OpacityAt = (along: number, across: number, y: number, x: number) => number;

/** A shape in its own axes, at a random place and angle; its values are cut off at 0 and 1. */
function drawAcross(H: number, W: number, random: Random, opacityAt: OpacityAt): Float32Array {
  const [cos, sin] = direction(random);
  const [centreY, centreX] = [H, W].map((side) => Math.floor(side * between(random, 0.05, 0.95))) as [number, number];
  const opacity = new Float32Array(H * W);
  for (let y = 0, i = 0; y < H; y++) {
    for (let x = 0; x < W; x++, i++) {
      const along = (x - centreX) * cos + (y - centreY) * sin;
      const across = (y - centreY) * cos - (x - centreX) * sin;
      opacity[i] = clamp(opacityAt(along, across, y, x), 0, 1);
    }
  }
  opacity[centreY * W + centreX] = 1; // however thin or ragged, something is there
  return opacity;
}

/** Random values on a lattice with cells of this many pixels, joined smoothly; between 0 and 1. */
function createValueNoise(H: number, W: number, cell: number, random: Random): (y: number, x: number) => number {
  const columns = Math.ceil(W / cell) + 2;
  const lattice = Float64Array.from({ length: (Math.ceil(H / cell) + 2) * columns }, () => random.uniform());
  return (y, x) => {
    const row = Math.floor(y / cell);
    const column = Math.floor(x / cell);
    const down = smoothStep(y / cell - row);
    const right = smoothStep(x / cell - column);
    const corner = row * columns + column;
    const top = lattice[corner]! * (1 - right) + lattice[corner + 1]! * right;
    const bottom = lattice[corner + columns]! * (1 - right) + lattice[corner + columns + 1]! * right;
    return top * (1 - down) + bottom * down;
  };
}

/** The texture where the shape is, from a random place, mirrored at the borders, and turned over its diagonal half of the time. */
function cutOut(texture: Uint8Array, opacity: Float32Array, H: number, W: number, random: Random): Uint8Array {
  const [moveY, moveX, turned] = [random.integer(2 * H), random.integer(2 * W), random.integer(2) === 1];
  const piece = new Uint8Array(texture.length);
  for (let y = 0, i = 0; y < H; y++) {
    for (let x = 0; x < W; x++, i++) {
      if (opacity[i] === 0) continue;
      const from = 3 * (mirrored((turned ? x : y) + moveY, H) * W + mirrored((turned ? y : x) + moveX, W));
      for (let c = 0; c < 3; c++) piece[3 * i + c] = texture[from + c]!;
    }
  }
  return piece;
}

/** The image with the piece on it, made brighter or darker than what it covers by a contrast that is drawn here. */
function paste(image: Uint8Array, piece: Uint8Array, opacity: Float32Array, random: Random): Uint8Array<ArrayBuffer> {
  let [covered, under, over, colour] = [0, 0, 0, 0];
  for (let i = 0; i < opacity.length; i++) {
    const weight = opacity[i]!;
    if (weight === 0) continue;
    const [red, green, blue] = [image[3 * i]!, image[3 * i + 1]!, image[3 * i + 2]!];
    covered += weight;
    under += (weight * (red + green + blue)) / 3;
    over += (weight * (piece[3 * i]! + piece[3 * i + 1]! + piece[3 * i + 2]!)) / 3;
    colour += weight * (Math.max(red, green, blue) - Math.min(red, green, blue));
  }
  const contrast = 10 + 60 * random.uniform() ** 2;
  const brightness = under / covered;
  const brightens = random.integer(2) === 1 ? brightness < 255 - contrast : brightness < contrast;
  const shift = (under - over) / covered + (brightens ? contrast : -contrast);
  const tint = Math.min(colour / covered, 20) / 2; // a grey camera sees no coloured defects
  const shifts = [0, 1, 2].map(() => shift + between(random, -tint, tint));
  const defect = Uint8Array.from(image);
  for (let i = 0; i < image.length; i++) {
    const weight = opacity[(i / 3) | 0]!;
    if (weight > 0)
      defect[i] = Math.round(clamp(image[i]! + weight * (piece[i]! + shifts[i % 3]! - image[i]!), 0, 255));
  }
  return defect;
}

/** A random angle as cosine and sine, without functions whose last digit differs between machines. */
function direction(random: Random): [number, number] {
  for (;;) {
    const [x, y] = [between(random, -1, 1), between(random, -1, 1)];
    const length = Math.sqrt(x * x + y * y);
    if (length > 0.1 && length <= 1) return [x / length, y / length];
  }
}

const between = (random: Random, low: number, high: number): number => low + (high - low) * random.uniform();
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
const smoothStep = (t: number): number => t * t * (3 - 2 * t);

/** Sample i of n samples that are mirrored again and again. */
function mirrored(i: number, n: number): number {
  const inPeriod = i % (2 * n);
  return inPeriod < n ? inPeriod : 2 * n - 1 - inPeriod;
}

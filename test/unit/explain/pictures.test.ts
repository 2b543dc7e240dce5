import sharp from 'sharp';
import { expect, test } from 'vitest';
import { displayCam } from '../../../src/explain/cam/display.js';
import { drawPictures } from '../../../src/explain/pictures.js';
import type { ScoredResult } from '../../../src/shared/contracts.js';
import { decodeImage } from '../../../src/shared/image.js';
import { overlay } from '../../../src/shared/kernels/overlay.js';
import { writeNpy } from '../../../src/shared/npy.js';
import { palette } from '../../../src/shared/plots/palette.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { highRisk } from '../../helpers/risks.js';
import { artefacts, scoredResult } from '../../helpers/scored-result.js';

/** Model input; the original is twice as large. */
const [H, W] = [96, 128];
type Rgb = [number, number, number];
const ground: Rgb = [90, 90, 90];
const green: Rgb = [20, 200, 40];
const violet: Rgb = [120, 40, 200];

/** A plain image with one patch of another colour, [x, y] in model pixels. */
const plainImage = (scale: number, [x, y]: [number, number], colour: Rgb): Promise<Buffer> => {
  const spot = { create: { width: 16 * scale, height: 16 * scale, channels: 3 as const, background: rgb(colour) } };
  return sharp({ create: { width: W * scale, height: H * scale, channels: 3, background: rgb(ground) } })
    .composite([{ input: spot, left: x * scale, top: y * scale }])
    .png()
    .toBuffer();
};
const rgb = ([r, g, b]: Rgb) => ({ r, g, b });

const gradcam = float32(12, (i) => Math.sin(i) - 0.3);
const explained: ScoredResult = { ...scoredResult, artefacts, risk: highRisk };

/** What lies in the store for a part whose map has its peak at [x, y] of the model input. */
async function storeWith([x, y]: [number, number]): Promise<Map<string, Uint8Array>> {
  const peak = y * W + x;
  const map = float32(H * W, (i) => (i === peak ? 3 : (i % 7) / 7));
  const patch: [number, number] = [16 * Math.floor(x / 16), 16 * Math.floor(y / 16)];
  return new Map<string, Uint8Array>([
    [scoredResult.imageKey, await plainImage(2, patch, green)],
    [scoredResult.nearestNormal.trainingImage, await plainImage(1, [16, 48], violet)],
    [artefacts.anomalyMap, writeNpy({ dtype: 'float32', shape: [H, W], data: map })],
    [artefacts.gradcam, writeNpy({ dtype: 'float32', shape: [3, 4], data: gradcam })],
  ]);
}

async function draw(result: ScoredResult, objects: Map<string, Uint8Array>) {
  return await drawPictures(result, async (key) => {
    const bytes = objects.get(key);
    if (!bytes) throw new Error(`nothing under ${key}`);
    return bytes;
  });
}

async function pixelsOf(png: Uint8Array) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number): Rgb => [...data.subarray(3 * (y * info.width + x)).subarray(0, 3)] as Rgb;
  return { data, at, ...info };
}

const rgbOf = (hex: string): Rgb => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16)) as Rgb;

/** The middle of the lines of the frame in this colour within some rows: [left, top, right, bottom]. */
function frameOf(
  picture: Awaited<ReturnType<typeof pixelsOf>>,
  hex: string,
  { top, bottom, lineWidth }: { top: number; bottom: number; lineWidth: number },
) {
  const colour = rgbOf(hex);
  const [xs, ys]: [number[], number[]] = [[], []];
  for (let y = top; y < bottom; y++) {
    for (let x = 0; x < picture.width; x++) {
      const i = 3 * (y * picture.width + x);
      const isFar = (channel: number) => Math.abs(picture.data[i + channel]! - colour[channel]!) > 3;
      if (isFar(0) || isFar(1) || isFar(2)) continue;
      xs.push(x);
      ys.push(y);
    }
  }
  const half = lineWidth / 2;
  return [Math.min(...xs) + half, Math.min(...ys) + half, Math.max(...xs) + 1 - half, Math.max(...ys) + 1 - half];
}

const enlarged = { top: 82, bottom: 402, lineWidth: 4 };
const whole = { top: 448, bottom: 648, lineWidth: 3 };
const [leftColumn, rightColumn] = [16, 16 + 320 + 32];

test('the pair of patches marks both places, enlarged and in the whole image', async () => {
  const pictures = await draw(explained, await storeWith([70, 40]));
  const picture = await pixelsOf(pictures['patch-pair.png']!);
  expect([picture.width, picture.height]).toEqual([704, 664]);

  // Patch [64, 32] in its surroundings from [32, 0] on, four times as large; and patch [16, 48] from [0, 16] on.
  const part = frameOf(picture, palette.suspicious, enlarged);
  expectClose(part, [leftColumn + 128, 82 + 128, leftColumn + 192, 82 + 192], { atol: 0.51 }, 'part');
  const goodPart = frameOf(picture, palette.good, enlarged);
  expectClose(goodPart, [rightColumn + 64, 82 + 128, rightColumn + 128, 82 + 192], { atol: 0.51 }, 'good part');
  expect(picture.at(leftColumn + 160, 82 + 160)).toEqual(green);
  expect(picture.at(rightColumn + 96, 82 + 160)).toEqual(violet);
  expect(picture.at(leftColumn + 100, 82 + 160)).toEqual(ground);

  const scale = 200 / H;
  const placeOf = (x: number, y: number, left: number) => [
    left + x * scale,
    448 + y * scale,
    left + (x + 16) * scale,
    448 + (y + 16) * scale,
  ];
  const inPart = frameOf(picture, palette.suspicious, whole);
  expectClose(inPart, placeOf(64, 32, leftColumn), { atol: 1.01 }, 'part, whole');
  const inGoodPart = frameOf(picture, palette.good, whole);
  expectClose(inGoodPart, placeOf(16, 48, rightColumn), { atol: 1.01 }, 'good part, whole');
  expect(picture.at(leftColumn + 150, 448 + 83)).toEqual(green);
});

test('at the border the surroundings move inside', async () => {
  const pictures = await draw(explained, await storeWith([W - 1, H - 1]));
  const picture = await pixelsOf(pictures['patch-pair.png']!);
  const [left, top] = frameOf(picture, palette.suspicious, enlarged);
  expectClose([left!, top!], [leftColumn + 256, 82 + 256], { atol: 0.51 });
  expect(picture.at(leftColumn + 288, 82 + 288)).toEqual(green);
});

test('the Grad-CAM++ overlay is the displayed map over the image at the size of the model input', async () => {
  const objects = await storeWith([70, 40]);
  const picture = await pixelsOf((await draw(explained, objects))['gradcam-overlay.png']!);
  expect([picture.width, picture.height]).toEqual([W, H]);
  const size = { height: H, width: W };
  const { pixels } = await decodeImage(objects.get(scoredResult.imageKey)!, size, { maxImageBytes: 1e6 });
  expectClose(picture.data, overlay(pixels, displayCam(gradcam, 3, 4, H, W)));
});

test('what was not explained has no picture', async () => {
  const objects = await storeWith([70, 40]);
  expect(Object.keys(await draw(explained, objects))).toEqual([
    'patch-pair.png',
    'gradcam-overlay.png',
    'waterfall.svg',
    'waterfall.png',
  ]);
  const { gradcam: _, ...fewer } = artefacts;
  expect(Object.keys(await draw({ ...scoredResult, artefacts: fewer }, objects))).toEqual(['patch-pair.png']);
  expect(await draw(scoredResult, new Map())).toEqual({});
});

test('a damaged map is named', async () => {
  const objects = await storeWith([70, 40]);
  objects.set(artefacts.gradcam, writeNpy({ dtype: 'float32', shape: [12], data: gradcam }));
  await expect(draw(explained, objects)).rejects.toMatchObject({
    code: 'SHAPE_MISMATCH',
    message: 'Expected float32 of shape (any, any) for Grad-CAM++ map but received float32 of shape (12)',
  });
});

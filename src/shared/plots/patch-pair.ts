import sharp from 'sharp';
import type { ImageSize } from '../image.js';
import type { Box } from '../kernels/connected-region.js';
import { type Markup, markup } from '../markup.js';
import { labelAsOutlines } from './label.js';
import { palette } from './palette.js';

/** An image with the place that matters in it; the box is [x, y, width, height] in its pixels. */
export interface MarkedImage extends ImageSize {
  /** RGB (H, W, 3) */
  pixels: Uint8Array;
  box: Box;
}

/** Patches across the enlarged part: enough around the one that matters to know it again on the part. */
const patchesShown = 5;
const margin = 16;
const gap = 32;
const enlarged = { top: 82, side: 320 };
const whole = { top: enlarged.top + enlarged.side + 46, height: 200 };
/** Of the picture. */
export const patchPairSize: ImageSize = {
  width: 2 * margin + 2 * enlarged.side + gap,
  height: whole.top + whole.height + margin,
};

/**
 * The most suspicious patch of a part beside the patch of a good part that is most like it: both enlarged with their
 * surroundings, and marked in a small view of the whole image. Drawn as PNG.
 */
export async function patchPairPng(part: MarkedImage, goodPart: MarkedImage): Promise<Uint8Array> {
  const left = margin;
  const right = margin + enlarged.side + gap;
  const layers = [
    ...(await drawColumn(part, left, palette.suspicious, ['This part', 'its most suspicious place'])),
    ...(await drawColumn(goodPart, right, palette.good, ['Nearest good part', 'the place most like it'])),
  ];
  return await sharp({ create: { ...patchPairSize, channels: 3, background: palette.paper } })
    .composite(layers)
    .png()
    .toBuffer();
}

interface Layer {
  input: Buffer;
  left: number;
  top: number;
}

async function drawColumn(
  image: MarkedImage,
  left: number,
  colour: string,
  [title, subtitle]: [string, string],
): Promise<Layer[]> {
  const region = regionAround(image);
  const zoom = enlarged.side / Math.max(region.width, region.height);
  const wholeScale = Math.min(enlarged.side / image.width, whole.height / image.height);
  const everything = { left: 0, top: 0, width: image.width, height: image.height };
  const text = (y: number, size: number, colour: string, words: string, bold = false) =>
    labelAsOutlines({ x: 0, y, size, text: words, colour, bold });
  const marks = markup`<svg xmlns="http://www.w3.org/2000/svg" width="${enlarged.side}" height="${patchPairSize.height}">
${text(38, 26, colour, title, true)}
${text(66, 18, palette.faintInk, subtitle)}
${text(whole.top - 14, 18, palette.faintInk, 'in the whole image')}
${drawMark(image.box, region, enlarged.top, zoom, colour, 4)}
${drawMark(image.box, everything, whole.top, wholeScale, colour, 3)}
</svg>`;
  return [
    { input: await cut(image, region, zoom), left, top: enlarged.top },
    { input: await cut(image, everything, wholeScale), left, top: whole.top },
    { input: Buffer.from(marks.markup), left, top: 0 },
  ];
}

interface Region {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** The surroundings of the box, moved inside where it lies at the border. */
function regionAround({ box: [x, y, boxWidth, boxHeight], ...image }: MarkedImage): Region {
  const along = (start: number, length: number, available: number): [number, number] => {
    const shown = Math.min(patchesShown * length, available);
    const from = Math.round(start + length / 2 - shown / 2);
    return [Math.min(Math.max(from, 0), available - shown), shown];
  };
  const [left, shownWidth] = along(x, boxWidth, image.width);
  const [top, shownHeight] = along(y, boxHeight, image.height);
  return { left, top, width: shownWidth, height: shownHeight };
}

function cut({ pixels, ...size }: MarkedImage, region: Region, scale: number): Promise<Buffer> {
  return sharp(pixels, { raw: { width: size.width, height: size.height, channels: 3 } })
    .extract(region)
    .resize({ width: Math.round(region.width * scale), height: Math.round(region.height * scale), fit: 'fill' })
    .png()
    .toBuffer();
}

/** A frame around a box, with white on both sides so that it shows on any image. */
function drawMark(
  [x, y, boxWidth, boxHeight]: Box,
  region: Region,
  top: number,
  scale: number,
  colour: string,
  lineWidth: number,
): Markup {
  const frame = (thickness: number, stroke: string) =>
    markup`<rect x="${(x - region.left) * scale}" y="${top + (y - region.top) * scale}" width="${boxWidth * scale}" height="${boxHeight * scale}" fill="none" stroke="${stroke}" stroke-width="${thickness}"/>`;
  return markup`${frame(lineWidth + 2, palette.paper)}${frame(lineWidth, colour)}`;
}

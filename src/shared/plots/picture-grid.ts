import sharp from 'sharp';
import type { ImageSize } from '../image.js';
import { type Markup, markup } from '../markup.js';
import { labelAsOutlines, labelWidth } from './label.js';
import { palette } from './palette.js';

/** A picture and what stands below it; it is shown in the form of its original, which it may be a distorted copy of. */
export interface GridPicture extends ImageSize {
  jpeg: Uint8Array;
  name: string;
  detail: string;
}

// Pixels.
const side = 200;
const gap = 16;
const [titleHeight, captionHeight] = [56, 44];
const mostColumns = 6;
/** Wide enough for the title of a single picture. */
const leastColumns = 3;

/** Pictures in rows of up to six, each with two lines below it, as a JPEG. */
export async function pictureGridJpeg(
  { title, subtitle }: { title: string; subtitle: string },
  pictures: readonly GridPicture[],
): Promise<Uint8Array> {
  const columns = Math.min(mostColumns, Math.max(leastColumns, pictures.length));
  const rows = Math.ceil(pictures.length / columns);
  const width = gap + columns * (side + gap);
  const tallest = Math.max(...pictures.map((picture) => fittedSize(picture).height));
  const rowHeight = tallest + captionHeight + gap;
  const height = gap + titleHeight + rows * rowHeight;
  const cells = pictures.map((picture, index) => ({
    picture,
    left: gap + (index % columns) * (side + gap),
    top: gap + titleHeight + Math.floor(index / columns) * rowHeight,
  }));
  const labels = [
    labelAsOutlines({ x: gap, y: gap + 16, text: title, size: 18, bold: true, colour: palette.ink }),
    labelAsOutlines({ x: gap, y: gap + 38, text: subtitle, colour: palette.faintInk }),
    ...cells.flatMap(({ picture, left, top }) => captionOf(picture, left, top + tallest)),
  ];
  const svg = markup`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${labels}</svg>`;
  const placed = cells.map(async ({ picture, left, top }) => {
    const { data, info } = await fitted(picture);
    // Pictures that are not square stand on the line of their captions.
    return { input: data, left: left + Math.floor((side - info.width) / 2), top: top + tallest - info.height };
  });
  return await sharp({ create: { width, height, channels: 3, background: palette.paper } })
    .composite([...(await Promise.all(placed)), { input: Buffer.from(svg.markup) }])
    .jpeg({ quality: 85 })
    .toBuffer();
}

const fitted = (picture: GridPicture) =>
  sharp(picture.jpeg)
    .resize({ ...fittedSize(picture), fit: 'fill' })
    .toBuffer({ resolveWithObject: true });

/** As large as a cell allows. */
function fittedSize({ height, width }: ImageSize): ImageSize {
  const scale = side / Math.max(height, width);
  return { height: Math.max(1, Math.round(height * scale)), width: Math.max(1, Math.round(width * scale)) };
}

function captionOf({ name, detail }: GridPicture, left: number, top: number): Markup[] {
  const x = left + side / 2;
  return [
    labelAsOutlines({ x, y: top + 18, text: shortened(name), anchor: 'middle', colour: palette.ink }),
    labelAsOutlines({ x, y: top + 36, text: detail, anchor: 'middle', colour: palette.suspicious, bold: true }),
  ];
}

/** The end of a long name, which tells images of a series apart. */
function shortened(name: string): string {
  let text = name;
  while (labelWidth({ text }) > side && text.length > 1) text = `…${text.slice(2)}`;
  return text;
}

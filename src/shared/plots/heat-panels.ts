import sharp from 'sharp';
import type { ImageSize } from '../image.js';
import { jetTable } from '../kernels/jet.js';
import { type Markup, markup } from '../markup.js';
import { labelAsOutlines } from './label.js';
import { palette } from './palette.js';

export interface HeatPanels {
  title: string;
  subtitle: string;
  /** Images with their heat laid over them, all of one size: RGB (H, W, 3). */
  panels: readonly { title: string; pixels: Uint8Array }[];
  size: ImageSize;
  /** What the ends of the colours mean. */
  scale: { low: string; high: string };
}

const margin = 16;
const gap = 16;
const longestSide = 320;
const panelsInRow = 3;
const head = 84;
const panelTitle = 30;
const bar = { height: 14, width: 240 };
const foot = bar.height + 44;

/** Heat maps side by side under one scale of colours, as PNG. */
export async function heatPanelsPng({ title, subtitle, panels, size, scale }: HeatPanels): Promise<Uint8Array> {
  const zoom = longestSide / Math.max(size.height, size.width);
  const [panelHeight, panelWidth] = [Math.round(size.height * zoom), Math.round(size.width * zoom)];
  const columns = Math.min(panels.length, panelsInRow);
  const rows = Math.ceil(panels.length / panelsInRow);
  const placeOf = (index: number) => ({
    left: margin + (index % panelsInRow) * (panelWidth + gap),
    top: head + panelTitle + Math.floor(index / panelsInRow) * (panelHeight + panelTitle + gap),
  });
  const width = Math.max(2 * margin + columns * panelWidth + (columns - 1) * gap, 640);
  const height = head + rows * (panelHeight + panelTitle + gap) + foot;
  const drawn = await Promise.all(
    panels.map(async ({ pixels }, index) => ({
      input: await enlarge(pixels, size, { height: panelHeight, width: panelWidth }),
      ...placeOf(index),
    })),
  );
  const labels = markup`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
${labelAsOutlines({ x: margin, y: 40, size: 24, text: title, colour: palette.ink, bold: true })}
${labelAsOutlines({ x: margin, y: 68, size: 16, text: subtitle, colour: palette.faintInk })}
${panels.map((panel, index) => {
  const { left, top } = placeOf(index);
  return labelAsOutlines({ x: left, y: top - 9, size: 16, text: panel.title, colour: palette.ink });
})}
${drawScale(scale, height - foot + 12)}
</svg>`;
  return await sharp({ create: { width, height, channels: 3, background: palette.paper } })
    .composite([...drawn, { input: Buffer.from(labels.markup), left: 0, top: 0 }])
    .png()
    .toBuffer();
}

const enlarge = (pixels: Uint8Array, from: ImageSize, to: ImageSize): Promise<Buffer> =>
  sharp(pixels, { raw: { ...from, channels: 3 } })
    .resize({ ...to, fit: 'fill' })
    .png()
    .toBuffer();

/** The colours from low to high, with what they mean under both ends. */
function drawScale({ low, high }: HeatPanels['scale'], top: number): Markup {
  const steps = Array.from({ length: bar.width / 4 }, (_, step) => {
    const level = Math.round((255 * step) / (bar.width / 4 - 1));
    const colour = `rgb(${jetTable.subarray(3 * level, 3 * level + 3).join()})`;
    return markup`<rect x="${margin + 4 * step}" y="${top}" width="4" height="${bar.height}" fill="${colour}"/>`;
  });
  const text = { y: top + bar.height + 18, size: 14, colour: palette.faintInk };
  return markup`${steps}
${labelAsOutlines({ ...text, x: margin, text: low })}
${labelAsOutlines({ ...text, x: margin + bar.width, text: high, anchor: 'end' })}`;
}

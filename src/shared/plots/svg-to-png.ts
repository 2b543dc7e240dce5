import sharp from 'sharp';
import type { Markup } from '../markup.js';

/** Draws an SVG as PNG, `scale` pixels to a unit. Its labels must be outlines: there may be no font on the machine. */
export const svgToPng = ({ markup }: Markup, scale: number): Promise<Uint8Array> =>
  sharp(Buffer.from(markup), { density: 72 * scale })
    .png()
    .toBuffer();

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import opentype from 'opentype.js';
import { type Markup, markup } from '../markup.js';

/** A line of text in an SVG drawing; (x, y) is on its base line, at the side that `anchor` names. */
export interface Label {
  x: number;
  y: number;
  text: string;
  /** Pixels; default 14. */
  size?: number;
  anchor?: 'start' | 'middle' | 'end';
  bold?: boolean;
  colour: string;
  /** For a style sheet of the drawing. */
  role?: string;
}

export type DrawLabel = (label: Label) => Markup;

const defaultSize = 14;

/** As text: small, can be searched, marked and read aloud; for programs that bring fonts, such as a browser. */
export const labelAsText: DrawLabel = ({ x, y, text, size = defaultSize, anchor = 'start', bold, colour, role = '' }) =>
  markup`<text class="${role}" x="${x}" y="${y}" font-family="Lato, Helvetica, Arial, sans-serif" font-size="${size}" font-weight="${bold ? 700 : 400}" text-anchor="${anchor}" fill="${colour}">${text}</text>`;

/** As outlines of a font that comes with patchline: alike on every machine, also where no font is installed. */
export const labelAsOutlines: DrawLabel = (label) => markup`<path d="${labelOutline(label)}" fill="${label.colour}"/>`;

type Lettering = Omit<Label, 'colour' | 'role'>;

/** The outlines of a label as the `d` of an SVG path. */
export function labelOutline({ x, y, text, size = defaultSize, anchor = 'start', bold }: Lettering): string {
  const width = labelWidth({ text, size, bold });
  const left = x - { start: 0, middle: width / 2, end: width }[anchor];
  return pathData(fontOf(bold ? 700 : 400).getPath(text, left, y, size));
}

/** Pixels from its first letter to its last. */
export const labelWidth = ({ text, size = defaultSize, bold }: Pick<Label, 'text' | 'size' | 'bold'>): number =>
  fontOf(bold ? 700 : 400).getAdvanceWidth(text, size);

const coordinates = ['x1', 'y1', 'x2', 'y2', 'x', 'y'] as const;

/** The `d` of an SVG path. opentype.js's own toPathData writes NaN for coordinates such as 1e-15. */
const pathData = ({ commands }: opentype.Path): string =>
  commands
    .map(({ type, ...ends }) => {
      const values: Partial<Record<(typeof coordinates)[number], number>> = ends;
      return type + coordinates.flatMap((name) => values[name]?.toFixed(2) ?? []).join(' ');
    })
    .join('');

const fonts = new Map<number, opentype.Font>();

/** Lato, Latin letters; read when first needed. */
function fontOf(weight: 400 | 700): opentype.Font {
  const known = fonts.get(weight);
  if (known) return known;
  const path = createRequire(import.meta.url).resolve(`@fontsource/lato/files/lato-latin-${weight}-normal.woff`);
  const font = opentype.parse(Uint8Array.from(readFileSync(path)).buffer);
  fonts.set(weight, font);
  return font;
}

import { type Markup, markup, verbatim } from '../markup.js';
import type { DrawLabel } from './label.js';
import { palette } from './palette.js';

const width = 720;
const rowHeight = 34;
const barHeight = 22;
/** Of a total on a scale that need not begin at 0: a bar from there would show nothing. */
const markWidth = 3;
const plot = { left: 288, right: width - 64, top: 84 };
const bottomOf = (bars: number) => plot.top + bars * rowHeight;

/** Of a drawing of so many bars, in its own units. */
export const waterfallSizeOf = (bars: number) => ({ width, height: bottomOf(bars) + 34 });

/** The page may be dark; a drawing of outlines alone is always on paper. */
const darkStyle = verbatim(
  '<style>@media (prefers-color-scheme: dark) {.paper{fill:#161b22}.ink{fill:#e6edf3}.faint{fill:#9da7b1}.line{stroke:#3d444d}}</style>',
);

/** A bar from one value to another. */
export interface Bar {
  label: string;
  from: number;
  to: number;
  amount: string;
  colour: string;
  isTotal: boolean;
}

/** How effects lead from one total to another. */
export interface Waterfall {
  /** For those who cannot see it. */
  description: string;
  heading: string;
  raises: string;
  lowers: string;
  remark: string;
  bars: Bar[];
  /** The scale covers them all, and every end of a bar. */
  ticks: { value: number; text: string }[];
}

/** An effect, in the colour of its direction. */
export const effectBar = (label: string, from: number, to: number, amount: string): Bar => ({
  ...{ label, from, to, amount, isTotal: false },
  colour: to < from ? palette.good : palette.suspicious,
});

export const totalBar = (label: string, from: number, to: number, amount: string): Bar => ({
  ...{ label, from, to, amount, isTotal: true },
  colour: palette.neutral,
});

/** A difference in the digits of the drawing, with its sign. */
export function signed(difference: number, digits: number): string {
  const text = Math.abs(difference).toFixed(digits);
  if (Number(text) === 0) return text;
  return difference < 0 ? `\u2212${text}` : `+${text}`;
}

export function drawWaterfall(waterfall: Waterfall, label: DrawLabel): Markup {
  const { bars, ticks, description } = waterfall;
  const places = [...bars.flatMap(({ from, to }) => [from, to]), ...ticks.map(({ value }) => value)];
  const [low, high] = [Math.min(...places), Math.max(...places)];
  const across = (value: number) => round(plot.left + ((value - low) / (high - low)) * (plot.right - plot.left));
  const { height } = waterfallSizeOf(bars.length);
  return markup`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${description}</title>
${darkStyle}
<rect class="paper" width="${width}" height="${height}" fill="${palette.paper}"/>
${drawHead(waterfall, label)}
${drawScale(waterfall, across, label)}
${bars.map((bar, row) => drawBar(bar, row, across, label))}
${bars.slice(1).map((_, row) => drawStep(across(bars[row]!.to), row))}
</svg>
`;
}

const round = (value: number): number => Math.round(100 * value) / 100;

function drawHead({ heading, raises, lowers, remark }: Waterfall, label: DrawLabel): Markup {
  const key = (x: number, colour: string, text: string) => markup`
<rect x="${x}" y="49" width="12" height="12" fill="${colour}"/>
${label({ x: x + 18, y: 60, text, colour: palette.ink, role: 'ink' })}`;
  return markup`${label({ x: 16, y: 32, text: heading, size: 20, bold: true, colour: palette.ink, role: 'ink' })}
${key(plot.left, palette.suspicious, raises)}
${key(plot.left + 130, palette.good, lowers)}
${label({ x: width - 16, y: 60, text: remark, anchor: 'end', colour: palette.faintInk, role: 'faint' })}`;
}

function drawScale({ bars, ticks }: Waterfall, across: (value: number) => number, label: DrawLabel): Markup[] {
  const bottom = bottomOf(bars.length);
  return ticks.map(({ value, text }) => {
    const x = across(value);
    return markup`<line class="line" x1="${x}" y1="${plot.top}" x2="${x}" y2="${bottom}" stroke="${palette.line}"/>
${label({ x, y: bottom + 20, text, size: 12, anchor: 'middle', colour: palette.faintInk, role: 'faint' })}
`;
  });
}

function drawBar(bar: Bar, row: number, across: (value: number) => number, label: DrawLabel): Markup {
  const [left, right] = [across(Math.min(bar.from, bar.to)), across(Math.max(bar.from, bar.to))];
  const top = plot.top + row * rowHeight + (rowHeight - barHeight) / 2;
  const text = { y: top + 16, bold: bar.isTotal, colour: palette.ink, role: 'ink' };
  const length = bar.isTotal && left === right ? markWidth : round(right - left);
  return markup`<rect x="${left}" y="${top}" width="${length}" height="${barHeight}" fill="${bar.colour}"/>
${label({ ...text, x: plot.left - 12, anchor: 'end', text: bar.label })}
${label({ ...text, x: right + 6, text: bar.amount })}
`;
}

/** Leads from the end of one bar to the start of the next. */
function drawStep(x: number, row: number): Markup {
  const top = plot.top + row * rowHeight + (rowHeight - barHeight) / 2;
  return markup`<line x1="${x}" y1="${top}" x2="${x}" y2="${top + rowHeight + barHeight}" stroke="${palette.faintInk}"/>
`;
}

import type { Risk } from '../contracts.js';
import { featureNames } from '../kernels/readable-features.js';
import { type Markup, markup, verbatim } from '../markup.js';
import { describeFeature } from './feature-labels.js';
import { type DrawLabel, labelAsOutlines, labelAsText } from './label.js';
import { palette } from './palette.js';
import { svgToPng } from './svg-to-png.js';

const width = 720;
const rowHeight = 34;
const barHeight = 22;
const plot = { left: 288, right: width - 64, top: 84, bottom: 84 + (featureNames.length + 2) * rowHeight };
/** Of the drawing, in its own units. */
export const waterfallSize = { width, height: plot.bottom + 34 };
/** The page may be dark; a drawing of outlines alone is always on paper. */
const darkStyle = verbatim(
  '<style>@media (prefers-color-scheme: dark) {.paper{fill:#161b22}.ink{fill:#e6edf3}.faint{fill:#9da7b1}.line{stroke:#3d444d}}</style>',
);

/** A bar from one risk to another, both 0 .. 1. */
interface Bar {
  label: string;
  from: number;
  to: number;
  amount: string;
  colour: string;
  isTotal: boolean;
}

/** A risk as SVG: how each feature leads from the mean risk of good parts to the risk of this part. */
export const waterfallSvg = (risk: Risk): string => draw(risk, labelAsText).markup;

/** The same as PNG at twice the size, the same pixels on every machine. */
export const waterfallPng = (risk: Risk): Promise<Uint8Array> => svgToPng(draw(risk, labelAsOutlines), 2);

const percent = (risk: number): number => Math.round(1000 * risk) / 10;

/**
 * The base value, one bar per feature with the largest effect first, the probability. Amounts are differences of the rounded
 * ends, so that what is written adds up as what is drawn does.
 */
export function waterfallBars({ baseValue, probability, features }: Risk): Bar[] {
  const total = { from: 0, colour: palette.neutral, isTotal: true };
  const bars: Bar[] = [
    { ...total, label: 'good parts on average', to: baseValue, amount: `${percent(baseValue).toFixed(1)} %` },
  ];
  let from = baseValue;
  for (const feature of features.toSorted((a, b) => Math.abs(b.shap) - Math.abs(a.shap))) {
    const to = from + feature.shap;
    const points = percent(to) - percent(from);
    const colour = feature.shap < 0 ? palette.good : palette.suspicious;
    bars.push({ label: describeFeature(feature), from, to, amount: signed(points), colour, isTotal: false });
    from = to;
  }
  return [...bars, { ...total, label: 'this part', to: probability, amount: `${percent(probability).toFixed(1)} %` }];
}

function signed(points: number): string {
  const text = Math.abs(points).toFixed(1);
  if (text === '0.0') return text;
  return points < 0 ? `\u2212${text}` : `+${text}`;
}

function draw(risk: Risk, label: DrawLabel): Markup {
  const bars = waterfallBars(risk);
  // On the way from base to probability a sum of effects may leave 0 .. 1.
  const ends = bars.map(({ to }) => to);
  const [low, high] = [Math.min(0, ...ends), Math.max(1, ...ends)];
  const across = (value: number) => round(plot.left + ((value - low) / (high - low)) * (plot.right - plot.left));
  const { height } = waterfallSize;
  return markup`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>Risk of a defect: ${percent(risk.probability).toFixed(1)} %</title>
${darkStyle}
<rect class="paper" width="${width}" height="${height}" fill="${palette.paper}"/>
${drawHead(label)}
${drawScale(across, label)}
${bars.map((bar, row) => drawBar(bar, row, across, label))}
${bars.slice(1).map((_, row) => drawStep(across(bars[row]!.to), row))}
</svg>
`;
}

const round = (value: number): number => Math.round(100 * value) / 100;

function drawHead(label: DrawLabel): Markup {
  const key = (x: number, colour: string, text: string) => markup`
<rect x="${x}" y="49" width="12" height="12" fill="${colour}"/>
${label({ x: x + 18, y: 60, text, colour: palette.ink, role: 'ink' })}`;
  return markup`${label({ x: 16, y: 32, text: 'Risk of a defect', size: 20, bold: true, colour: palette.ink, role: 'ink' })}
${key(plot.left, palette.suspicious, 'raises the risk')}
${key(plot.left + 130, palette.good, 'lowers the risk')}
${label({ x: width - 16, y: 60, text: 'in percent points', anchor: 'end', colour: palette.faintInk, role: 'faint' })}`;
}

function drawScale(across: (value: number) => number, label: DrawLabel): Markup[] {
  return [0, 0.25, 0.5, 0.75, 1].map((value) => {
    const x = across(value);
    return markup`<line class="line" x1="${x}" y1="${plot.top}" x2="${x}" y2="${plot.bottom}" stroke="${palette.line}"/>
${label({ x, y: plot.bottom + 20, text: `${100 * value} %`, size: 12, anchor: 'middle', colour: palette.faintInk, role: 'faint' })}
`;
  });
}

function drawBar(bar: Bar, row: number, across: (value: number) => number, label: DrawLabel): Markup {
  const [left, right] = [across(Math.min(bar.from, bar.to)), across(Math.max(bar.from, bar.to))];
  const top = plot.top + row * rowHeight + (rowHeight - barHeight) / 2;
  const text = { y: top + 16, bold: bar.isTotal, colour: palette.ink, role: 'ink' };
  return markup`<rect x="${left}" y="${top}" width="${round(right - left)}" height="${barHeight}" fill="${bar.colour}"/>
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

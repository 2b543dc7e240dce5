import * as Plot from '@observablehq/plot';
import { DOMParser } from 'linkedom';
import { type Markup, markup, verbatim } from '../markup.js';
import { type ChartColour, chartColours, darkTheme, lightTheme } from './chart-colours.js';
import { labelAsText, labelWidth } from './label.js';
import { outlineTexts } from './outline-texts.js';
import { svgToPng } from './svg-to-png.js';

/**
 * A chart in the house style: marks of Observable Plot (https://observablehq.com/plot) in the colours of `chartColours`. `x`,
 * `y`, `color` and the margins are Plot's own options; lengths are in units of the drawing, one pixel of a screen each.
 *
 * A chart is one value, from which the SVG and the PNG are drawn:
 *
 *     const chart: Chart = {
 *       title: 'Scores of images',
 *       legend: [{ label: 'good', colour: chartColours.good }],
 *       x: { label: 'anomaly score' },
 *       y: { label: 'images' },
 *       marks: [
 *         Plot.rectY(scores, { ...Plot.binX({ y: 'count' }, { x: 'score', thresholds: 40 }), fill: chartColours.good }),
 *         Plot.ruleX([threshold], { stroke: chartColours.ink, strokeDasharray: '4 3' }),
 *       ],
 *     };
 *     await writeFile('scores.svg', chartSvg(chart));
 *     await writeFile('scores.png', await chartPng(chart));
 *
 * That was a histogram. Others: lines `Plot.line(points, { x, y, stroke })`; scatter `Plot.dot(points, { x, y, fill })`; bars with names at the left
 * `Plot.barX(rows, { x, y, fill })` with `marginLeft: marginFor(names)`; beeswarm
 * `Plot.dot(rows, Plot.dodgeY('middle', { x, fy, fill, r: 2 }))`, where `color: chartRamp` shows a number.
 */
export interface Chart
  extends Pick<
    Plot.PlotOptions,
    'x' | 'y' | 'fx' | 'fy' | 'r' | 'color' | 'marks' | 'marginTop' | 'marginLeft' | 'marginRight' | 'marginBottom'
  > {
  title: string;
  /** A line of facts under the title. */
  subtitle?: string;
  /** What the colours mean. */
  legend?: readonly { label: string; colour: string }[];
  /** Default 640. */
  width?: number;
  /** Of everything under the head; default 360. */
  height?: number;
}

const padding = 16;
const labelSize = 13;
const lineHeight = 22;

/**
 * The chart as SVG, on light ground or on dark as whoever shows it prefers, or always on dark; its texts are text, in the fonts
 * that are there.
 */
export const chartSvg = (chart: Chart, ground?: 'dark'): string => {
  const svg = drawChart(chart);
  if (ground === 'dark') colour(svg, darkTheme);
  else colour(svg, lightTheme, { switches: true });
  return `${svg.outerHTML}\n`;
};

/** The chart as PNG, twice as large as the SVG, the same pixels on every machine. */
export async function chartPng(chart: Chart, ground: 'light' | 'dark' = 'light'): Promise<Uint8Array> {
  const svg = drawChart(chart);
  outlineTexts(svg);
  colour(svg, ground === 'light' ? lightTheme : darkTheme);
  return await svgToPng(verbatim(svg.outerHTML), 2);
}

/** The left margin that lets names of these lengths stand before a vertical axis. */
export const marginFor = (names: readonly string[]): number =>
  Math.ceil(2 * padding + Math.max(0, ...names.map((text) => labelWidth({ text, size: labelSize }))));

/** Makes elements for Plot; nothing is ever put into it. */
const document = new DOMParser().parseFromString(
  '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'image/svg+xml',
) as unknown as Document; // what linkedom has of one is enough

const defaultSize = { width: 640, height: 360 };

function drawChart(chart: Chart): SVGSVGElement {
  const { title, subtitle, legend, ...plot } = { ...defaultSize, ...chart };
  const svg = drawPlot(plot);
  svg.querySelector('style')?.remove(); // Plot's own, for a page that it shares with others
  svg.removeAttribute('class');
  const head = drawHead(chart);
  const size = { width: plot.width, height: plot.height + head.height };
  const attributes = {
    xmlns: 'http://www.w3.org/2000/svg',
    ...size,
    viewBox: `0 ${-head.height} ${size.width} ${size.height}`,
    'font-family': 'Lato, Helvetica, Arial, sans-serif',
    'font-size': labelSize,
    role: 'img',
    'aria-label': [title, subtitle].filter(Boolean).join('. '),
  };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, String(value));
  svg.insertAdjacentHTML('afterbegin', head.drawing.markup);
  return svg;
}

function drawPlot({ x, y, marginLeft = 56, ...options }: Omit<Chart, 'title' | 'subtitle' | 'legend'>): SVGSVGElement {
  const axis = { labelArrow: 'none' } as const;
  return Plot.plot({
    document,
    marginTop: 36,
    marginLeft,
    marginRight: 24,
    marginBottom: 54,
    grid: true,
    x: { ...axis, labelAnchor: 'center', labelOffset: 42, ...x },
    y: { ...axis, labelOffset: marginLeft - padding, ...y },
    ...options,
  }) as SVGSVGElement; // with a title or a legend of Plot's it would be a figure of HTML
}

/** Stands above the plot, at negative y. */
function drawHead({ title, subtitle, legend = [], width = defaultSize.width }: Chart) {
  const rows = rowsOfLegend(legend, width);
  const lines = 1 + (subtitle ? 1 : 0) + rows.length;
  const height = padding + lines * lineHeight + 6;
  const baseline = (line: number) => -height + padding + line * lineHeight - 5;
  const { ink, 'faint-ink': faint, paper } = chartColours;
  const drawing = markup`<rect y="${-height}" width="100%" height="100%" fill="${paper}"/>
${labelAsText({ x: padding, y: baseline(1), text: title, size: 17, bold: true, colour: ink })}
${subtitle && labelAsText({ x: padding, y: baseline(2), text: subtitle, size: labelSize, colour: faint })}
${rows.map((row, index) => row.map((entry) => drawLegendEntry(entry, baseline(lines - rows.length + 1 + index))))}`;
  return { height, drawing };
}

interface LegendEntry {
  x: number;
  label: string;
  colour: string;
}

/** The entries side by side, in as many rows as the width asks for. */
function rowsOfLegend(legend: readonly { label: string; colour: string }[], width: number): LegendEntry[][] {
  const rows: LegendEntry[][] = [];
  let x = Number.POSITIVE_INFINITY;
  for (const entry of legend) {
    const needed = 1.15 * labelWidth({ text: entry.label, size: labelSize }) + 40; // other fonts run wider
    if (x + needed > width) {
      rows.push([]);
      x = padding;
    }
    rows.at(-1)!.push({ ...entry, x });
    x += needed;
  }
  return rows;
}

const drawLegendEntry = ({ x, label, colour }: LegendEntry, y: number): Markup =>
  markup`<rect x="${x}" y="${y - 11}" width="12" height="12" fill="${colour}"/>${labelAsText({ x: x + 18, y, text: label, size: labelSize, colour: chartColours.ink })}
`;

/**
 * Gives the colours of `chartColours` their values. An SVG that switches keeps these as attributes, which every program
 * understands, and has a style sheet that overrules them where the ground is dark.
 */
function colour(svg: SVGSVGElement, theme: Record<ChartColour, string>, { switches = false } = {}): void {
  const used = new Set<string>();
  for (const attribute of ['fill', 'stroke']) {
    for (const element of [svg, ...svg.querySelectorAll(`[${attribute}]`)]) {
      const name = colourNameOf(element.getAttribute(attribute));
      if (name === undefined) continue;
      element.setAttribute(attribute, theme[name]);
      if (!switches) continue;
      element.classList.add(`${attribute}-${name}`);
      used.add(`.${attribute}-${name}{${attribute}:${darkTheme[name]}}`);
    }
  }
  const rules = [...used].sort().join('');
  if (switches) svg.insertAdjacentHTML('afterbegin', `<style>@media (prefers-color-scheme: dark){${rules}}</style>`);
}

function colourNameOf(value: string | null): ChartColour | undefined {
  if (value === 'currentColor') return 'ink';
  if (value === 'var(--plot-background)') return 'paper';
  return Object.entries(chartColours).find(([, reference]) => reference === value)?.[0] as ChartColour | undefined;
}

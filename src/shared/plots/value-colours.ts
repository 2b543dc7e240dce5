import * as Plot from '@observablehq/plot';
import { chartColours } from './chart-colours.js';
import { placeOf, type ValueScale } from './shap-table.js';

/** From low to high by hue and not by lightness, so that all of it stands out from both grounds, told apart with any colour vision. */
const stops = [
  [0x2f, 0x8f, 0xd0],
  [0x9c, 0x6f, 0xb4],
  [0xe8, 0x72, 0x0c],
] as const;
const levels = 9;

function colourOfLevel(level: number): string {
  const at = (level / (levels - 1)) * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(at));
  const channels = stops[below]!.map((from, c) => Math.round(from + (at - below) * (stops[below + 1]![c]! - from)));
  return `rgb(${channels.join()})`;
}

/** One colour for a number of levels: dots that share one are a mark, which is half the size of a colour for each. */
export function colourOfValue(value: number, scale: ValueScale | undefined): string {
  if (scale === undefined || Number.isNaN(value)) return chartColours.neutral;
  return colourOfLevel(Math.round(placeOf(value, scale) * (levels - 1)));
}

/** What the colours mean. */
export const valueLegend = (low: string, high: string, hasMissing: boolean) => [
  { label: low, colour: colourOfLevel(0) },
  { label: 'between', colour: colourOfLevel((levels - 1) / 2) },
  { label: high, colour: colourOfLevel(levels - 1) },
  ...(hasMissing ? [{ label: 'no value', colour: chartColours.neutral }] : []),
];

export interface Dot {
  x: number;
  y: number;
  colour: string;
}

/** A mark for each colour. */
export function dotMarks(dots: readonly Dot[], r: number): Plot.Markish[] {
  const colours = [...new Set(dots.map(({ colour }) => colour))];
  return colours.map((fill) =>
    Plot.dot(
      dots.filter(({ colour }) => colour === fill),
      { x: 'x', y: 'y', r, fill },
    ),
  );
}

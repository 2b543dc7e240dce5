import * as Plot from '@observablehq/plot';
import { marginFor } from './chart.js';
import { chartColours } from './chart-colours.js';
import { fitText } from './fit-text.js';

const widest = 250;

/** The left margin for a column of names. */
export const nameMargin = (names: readonly string[]): number => marginFor(names.map((name) => fitText(name, widest)));

/** Names before the rows 0, 1, 2, … of a chart; what is too long is shortened, and whole under the pointer. */
export const nameMark = (names: readonly string[]): Plot.Markish =>
  Plot.text(names, {
    frameAnchor: 'left',
    textAnchor: 'end',
    dx: -12,
    y: (_: string, row: number) => row,
    text: (name: string) => fitText(name, widest),
    title: (name: string) => name,
    fill: chartColours.ink,
  });

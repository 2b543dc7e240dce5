import { palette } from './palette.js';

/** On light ground. */
export const lightTheme = {
  paper: palette.paper,
  ink: palette.ink,
  'faint-ink': palette.faintInk,
  line: palette.line,
  neutral: palette.neutral,
  /** Of good parts, and of what speaks for one. */
  good: palette.good,
  /** Of defects, and of what speaks for one. */
  suspicious: palette.suspicious,
  /** For a third and a fourth thing. */
  third: '#00825f',
  fourth: '#a3528a',
} as const;

export type ChartColour = keyof typeof lightTheme;

export const darkTheme: Record<ChartColour, string> = {
  paper: '#161b22',
  ink: '#e6edf3',
  'faint-ink': '#9da7b1',
  line: '#3d444d',
  neutral: '#8a8f98',
  good: '#6cbcf0',
  suspicious: '#ff9d4d',
  third: '#4fc9a4',
  fourth: '#dd9bc8',
};

/** What the marks of a chart name as their colours: chartSvg and chartPng put in what suits the ground. */
export const chartColours = Object.fromEntries(
  Object.keys(lightTheme).map((name) => [name, `var(--${name})`]),
) as Record<ChartColour, string>;

/** A `color` that shows a number from low to high; all of it can be seen on both grounds. */
export const chartRamp = { type: 'linear', range: ['#2f8fd0', '#e8720c'], interpolate: 'rgb' } as const;

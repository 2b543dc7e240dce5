import { DOMParser } from 'linkedom';
import { expect, test } from 'vitest';
import { labelOutline, labelWidth } from '../../../src/shared/plots/label.js';
import { outlineTexts } from '../../../src/shared/plots/outline-texts.js';

function outlined(content: string): string {
  const source = `<svg xmlns="http://www.w3.org/2000/svg" font-size="10" text-anchor="middle">${content}</svg>`;
  const svg = new DOMParser().parseFromString(source, 'image/svg+xml').documentElement as unknown as SVGSVGElement;
  outlineTexts(svg);
  return svg.outerHTML;
}
const onlyPath = (drawing: string) => /^<svg[^>]*>(?:<g[^>]*>)?<path([^>]*) \/>(?:<\/g>)?<\/svg>$/.exec(drawing)![1]!;
const dataOf = (drawing: string) => / d="([^"]*)"/.exec(onlyPath(drawing))![1]!;

test('a text becomes a path that keeps its place on the drawing and its colour', () => {
  const path = onlyPath(outlined('<text x="3" y="4" fill="#123456" transform="translate(40,30)">Hi</text>'));
  expect(path).toContain('fill="#123456"');
  expect(path).toContain('transform="translate(40,30)"');
  expect(path).not.toMatch(/ [xy]="/);
});

test.each([
  [
    'size and anchor of the drawing',
    '<text x="3" y="4">Hi</text>',
    { x: 3, y: 4, size: 10, anchor: 'middle' as const },
  ],
  [
    'those of the nearest parent',
    '<g font-size="20" text-anchor="end"><text x="3" y="4">Hi</text></g>',
    { x: 3, y: 4, size: 20, anchor: 'end' as const },
  ],
  [
    'its own, and lengths in em',
    '<text y="0.5em" dx="2" dy="1em" font-size="12" font-weight="700" text-anchor="start">Hi</text>',
    { x: 2, y: 18, size: 12, anchor: 'start' as const, bold: true },
  ],
  [
    'no title under the pointer',
    '<text>Hi<title>more</title></text>',
    { x: 0, y: 0, size: 10, anchor: 'middle' as const },
  ],
])('%s', (_, content, place) => {
  expect(dataOf(outlined(content))).toBe(labelOutline({ ...place, text: 'Hi' }));
});

test('lines go on where the one before ended', () => {
  const lines = '<text><tspan x="0" y="0.5em">Hi</tspan><tspan x="0" dy="1em">you</tspan></text>';
  const place = { x: 0, size: 10, anchor: 'middle' as const };
  const want = labelOutline({ ...place, y: 5, text: 'Hi' }) + labelOutline({ ...place, y: 15, text: 'you' });
  expect(dataOf(outlined(lines))).toBe(want);
});

test('an outline lies at the side of its anchor', () => {
  const xs = (anchor: 'start' | 'end') => {
    const outline = labelOutline({ x: 50, y: 0, text: 'Hi', size: 10, anchor });
    return [...outline.matchAll(/[ML](-?[\d.]+) /g)].map(([, x]) => Number(x));
  };
  const width = labelWidth({ text: 'Hi', size: 10 });
  expect(Math.min(...xs('start'))).toBeGreaterThanOrEqual(50);
  expect(Math.max(...xs('start'))).toBeLessThanOrEqual(50 + width);
  expect(Math.max(...xs('end'))).toBeLessThanOrEqual(50);
  expect(Math.min(...xs('end'))).toBeGreaterThanOrEqual(50 - width);
});

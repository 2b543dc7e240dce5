import { expect, test } from 'vitest';
import type { ProcessAttribution } from '../../../src/shared/contracts.js';
import { palette } from '../../../src/shared/plots/palette.js';
import {
  formatNumber,
  processBars,
  processWaterfallSize,
  processWaterfallSvg,
} from '../../../src/shared/plots/process-waterfall.js';
import { waterfallSvg } from '../../../src/shared/plots/waterfall.js';
import { shrinkage } from '../../helpers/process-attributions.js';
import { highRisk } from '../../helpers/risks.js';

const textsOf = (svg: string) => [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
const rectsOf = (svg: string) =>
  [...svg.matchAll(/<rect x="([\d.-]+)" y="[\d.]+" width="([\d.-]+)" height="22" fill="(#\w+)"/g)].map(
    ([, x, width, colour]) => ({ left: Number(x), right: Number(x) + Number(width), colour }),
  );

test('leads from usual parts to this part on a scale that need not begin at 0', () => {
  const svg = processWaterfallSvg(shrinkage);
  expect(textsOf(svg)).toEqual([
    'shrinkage, mm',
    'raises it',
    'lowers it',
    'by shrinkage.onnx',
    '100',
    '105',
    '110',
    'usual parts',
    '101.00',
    'melt_temperature_c: 243.1',
    '+9.00',
    'hold pressure &lt;bar&gt;: missing',
    '\u22122.50',
    'cooling_s: 12',
    '0.00',
    'this part',
    '107.50',
  ]);
  const scale = [...svg.matchAll(/<line class="line" x1="([\d.]+)"/g)].map(([, x]) => Number(x));
  const at = (value: number) => scale[0]! + ((value - 100) / 10) * (scale.at(-1)! - scale[0]!);
  const [base, heat, pressure, cooling, total] = rectsOf(svg);
  expect(base!.left).toBeCloseTo(at(101), 1);
  expect([heat!.left, heat!.right].map(Math.round)).toEqual([at(101), at(110)].map(Math.round));
  expect([pressure!.left, pressure!.right].map(Math.round)).toEqual([at(107.5), at(110)].map(Math.round));
  expect([heat!.colour, pressure!.colour]).toEqual([palette.suspicious, palette.good]);
  expect(cooling!.right).toBe(cooling!.left);
  for (const mark of [base!, total!]) expect(mark.right - mark.left).toBe(3);
});

test('amounts are differences of what is written, in digits that suit their size', () => {
  for (const scale of [1e-6, 1e-3, 1, 1e3, 1e6]) {
    const attribution: ProcessAttribution = {
      ...shrinkage,
      baseValue: 0.3333 * scale,
      value: 0.6667 * scale,
      features: [0.1111, 0.1111, 0.1112].map((shap, j) => ({ name: `n${j}`, value: 1, shap: shap * scale })),
    };
    const amounts = processBars(attribution).map(({ amount }) => Number(amount.replace('\u2212', '-')));
    const [base, ...effects] = amounts;
    const total = effects.pop()!;
    expect(effects.reduce((sum, effect) => sum + effect, base!)).toBeCloseTo(total, 9);
    expect(Math.abs(total - attribution.value) / scale).toBeLessThan(0.005);
  }
});

test('the smallest effects of many features are one bar, and long names are cut', () => {
  const features = Array.from({ length: 30 }, (_, j) => ({ name: `${'x'.repeat(60)}${j}`, value: j, shap: 30 - j }));
  const value = features.reduce((sum, { shap }) => sum + shap, 0);
  const many = { ...shrinkage, features, baseValue: 0, value };
  const bars = processBars(many);
  expect(bars).toHaveLength(11);
  expect(bars[9]).toMatchObject({ label: '22 others', to: value });
  expect(bars[1]!.label.length).toBeLessThan(32);
  const { height } = processWaterfallSize(many);
  expect(processWaterfallSvg(many)).toContain(`height="${height}"`);
});

test('values that are all alike are drawn too', () => {
  const flat = { ...shrinkage, baseValue: 0, value: 0, features: [{ name: 'a', value: 0, shap: 0 }] };
  expect(processWaterfallSvg(flat)).not.toContain('NaN');
  expect(formatNumber(0.000012345)).toBe('0.00001234');
});

test('is drawn by what draws a risk', () => {
  expect(processWaterfallSvg(shrinkage).split('\n')[2]).toBe(waterfallSvg(highRisk).split('\n')[2]);
});

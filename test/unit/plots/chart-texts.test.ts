import { expect, test } from 'vitest';
import { fitText } from '../../../src/shared/plots/fit-text.js';
import { labelWidth } from '../../../src/shared/plots/label.js';
import { fixedText, numberText, signedText } from '../../../src/shared/plots/number-text.js';
import { nameAndUnit } from '../../../src/shared/plots/shap-table.js';

test.each([
  [0, '0'],
  [0.12345, '0.123'],
  [-0.00031, '\u22120.00031'],
  [41.26, '41.3'],
  [1013.25, '1013'],
  [-10234.6, '\u221210235'],
  [999.96, '1000'],
  [0.0000251, '2.51e\u22125'],
  [-3e12, '\u22123e12'],
])('%d is written %s', (value, text) => {
  expect(numberText(value)).toBe(text);
});

test('amounts have a sign unless they are written as 0', () => {
  expect([0.126, -0.126, 0.001, -0.001, 0].map((value) => signedText(value, 2))).toEqual([
    '+0.13',
    '\u22120.13',
    '0.00',
    '0.00',
    '0.00',
  ]);
  expect(fixedText(-2.345, 1)).toBe('\u22122.3');
});

test('a text that is too wide loses its middle', () => {
  const text = 'mould temperature, moving half, cooling circuit 2, return line [°C]';
  const short = fitText(text, 200);
  expect(short).toMatch(/^mould tem.*\u2026.*line \[°C\]$/);
  expect(labelWidth({ text: short, size: 13 })).toBeLessThanOrEqual(200);
  expect(labelWidth({ text: short, size: 13 })).toBeGreaterThan(150);
  expect(fitText('cycle time [s]', 200)).toBe('cycle time [s]');
});

test('a unit is what stands in brackets at the end of a name', () => {
  expect(nameAndUnit('melt temperature [°C]')).toEqual({ name: 'melt temperature', unit: ' °C' });
  expect(nameAndUnit('zone [2] load')).toEqual({ name: 'zone [2] load', unit: '' });
  expect(nameAndUnit('[s]')).toEqual({ name: '[s]', unit: '' });
});

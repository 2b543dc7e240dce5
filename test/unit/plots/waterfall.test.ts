import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { Risk } from '../../../src/shared/contracts.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { featureNames } from '../../../src/shared/kernels/readable-features.js';
import { palette } from '../../../src/shared/plots/palette.js';
import { waterfallPng, waterfallSvg } from '../../../src/shared/plots/waterfall.js';
import { expectClose } from '../../helpers/arrays.js';
import { highRisk } from '../../helpers/risks.js';

const barHeight = 22;
/** Where the scale has 0 and 100 %. */
const scaleOf = (svg: string): [number, number] => {
  const xs = [...svg.matchAll(/<line class="line" x1="([\d.]+)"/g)].map(([, x]) => Number(x));
  return [xs[0]!, xs.at(-1)!];
};

/** The bars as drawn: ends on the scale 0 .. 1, lower end first. */
function barsOf(svg: string) {
  const [zero, one] = scaleOf(svg);
  const rects = svg.matchAll(/<rect x="([\d.-]+)" y="([\d.]+)" width="([\d.]+)" height="22" fill="(#\w+)"/g);
  return [...rects].map(([, x, y, width, colour]) => {
    const [low, high] = [Number(x), Number(x) + Number(width)].map((end) => (end - zero) / (one - zero));
    return { low: low!, high: high!, top: Number(y), colour: colour! };
  });
}

const textsOf = (svg: string) => [...svg.matchAll(/<text [^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);
const amountsOf = (svg: string) =>
  textsOf(svg)
    .filter((text) => /^([+\u2212]?\d+\.\d|-?\d+\.\d %)$/.test(text))
    .map((text) => Number(text.replace('\u2212', '-').replace(' %', '')));

function randomRisk(seed: number): Risk {
  const { uniform, normal } = createRandom(seed);
  const features = featureNames.map((name) => ({ name, value: uniform(), usual: uniform(), shap: 0.4 * normal() }));
  const baseValue = uniform();
  const probability = features.reduce((sum, { shap }) => sum + shap, baseValue);
  return { probability, baseValue, agreesWithVerdict: true, features };
}

test('the bars lead from the base value to the probability, the largest effect first', () => {
  const bars = barsOf(waterfallSvg(highRisk));
  const want = [
    [0, 0.0614],
    [0.0614, 0.5514],
    [0.5514, 0.7826],
    [0.7826, 0.9712],
    [0.9312, 0.9712],
    [0.9312, 0.9312],
    [0, 0.9312],
  ];
  expectClose(
    bars.flatMap(({ low, high }) => [low, high]),
    want.flat(),
    { atol: 1e-4 },
  );
  const { neutral, suspicious, good } = palette;
  const colours = [neutral, suspicious, suspicious, suspicious, good, suspicious, neutral];
  expect(bars.map(({ colour }) => colour)).toEqual(colours);
});

test('the labels say in plain words what was measured and what is usual', () => {
  const texts = textsOf(waterfallSvg(highRisk));
  expect(texts[0]).toBe('Risk of a defect');
  expect(texts.filter((text) => text.includes(': '))).toEqual([
    'largest patch distance: 5.1, usual 1.9',
    'mean patch distance: 2.2, usual 1.1',
    'depth variation: 0.012, usual 0.0082',
    'evenness of texture: 93 %, usual 91 %',
    'share of edge pixels: 2.13 %, usual 2.11 %',
  ]);
  expect(amountsOf(waterfallSvg(highRisk))).toEqual([6.1, 49, 23.2, 18.8, -4, 0, 93.1]);
});

test('whatever the effects, bars join and what is written adds up as well', () => {
  for (let seed = 0; seed < 50; seed++) {
    const risk = randomRisk(seed);
    const svg = waterfallSvg(risk);
    const ordered = risk.features.toSorted((a, b) => Math.abs(b.shap) - Math.abs(a.shap));
    let from = risk.baseValue;
    const ends = ordered.flatMap(({ shap }) => {
      const to = from + shap;
      const pair = [Math.min(from, to), Math.max(from, to)];
      from = to;
      return pair;
    });
    const bars = barsOf(svg);
    expect(bars).toHaveLength(7);
    expectClose(
      bars.slice(1, -1).flatMap(({ low, high }) => [low, high]),
      ends,
      { atol: 5e-4 },
      `effects of seed ${seed}`,
    );
    const amounts = amountsOf(svg);
    expect(amounts).toHaveLength(7);
    const written = amounts.slice(0, -1).reduce((sum, amount) => sum + amount, 0);
    expectClose([written], [amounts.at(-1)!], { atol: 1e-9 }, `amounts of seed ${seed}`);
    expectClose([amounts.at(-1)!], [100 * risk.probability], { atol: 0.0501 }, `probability of seed ${seed}`);
  }
});

test('everything stays inside the drawing', () => {
  for (let seed = 0; seed < 50; seed++) {
    const svg = waterfallSvg(randomRisk(seed));
    const [, width] = /viewBox="0 0 (\d+) /.exec(svg)!;
    const rights = [...svg.matchAll(/<rect x="([\d.-]+)" y="[\d.]+" width="([\d.]+)" height="22"/g)];
    for (const [, x, barWidth] of rights) expect(Number(x) + Number(barWidth) + 60).toBeLessThan(Number(width));
    expect(Math.min(...rights.map(([, x]) => Number(x)))).toBeGreaterThan(280);
  }
});

test('the PNG holds every label to its last letter, with outlines instead of fonts', async () => {
  const png = await waterfallPng(highRisk);
  const { data, info } = await sharp(png).greyscale().raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([1440, 712]);
  const bars = barsOf(waterfallSvg(highRisk));
  for (const [row, { top }] of bars.entries()) {
    // Labels end 12 units left of the scale: the last letter is in the 8 units before.
    let darkest = 255;
    for (let y = 2 * top; y < 2 * (top + barHeight); y++) {
      for (let x = 2 * 268; x < 2 * 276; x++) darkest = Math.min(darkest, data[y * info.width + x]!);
    }
    expect(darkest, `label of row ${row}`).toBeLessThan(60);
  }
});

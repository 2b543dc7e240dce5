import { expect, test } from 'vitest';
import { rocChart, scoresChart } from '../../../src/cli/evaluate-charts.js';
import { describeExplanations, type ExplanationsReport } from '../../../src/cli/evaluate-explanations.js';
import { type Exhibit, reportPage } from '../../../src/cli/evaluate-page.js';
import { faithfulnessFiguresChart, localisationChart } from '../../../src/cli/explanations-charts.js';
import { figuresOf } from '../../../src/fit/evaluate.js';
import type { JudgedImage } from '../../../src/fit/evaluate-images.js';
import type { FigureSummary, MethodSummary } from '../../../src/fit/explanation-figures.js';
import { drawnMaps } from '../../../src/fit/image-explanations.js';
import type { Bundle } from '../../../src/shared/bundle.js';
import { chartSvg } from '../../../src/shared/plots/chart.js';
import { expectClose } from '../../helpers/arrays.js';
import { judgedImage } from '../../helpers/judged-images.js';

const bundle = { product: 'kol', version: 'v3', threshold: 1, input: { height: 2, width: 3 } } as Bundle;
const warnings = [{ code: 'MASK_EMPTY', message: 'a <mask>' }];
const evaluate = (images: JudgedImage[]) => figuresOf({ images, skipped: [], warnings, seconds: 2 }, { bundle });
const good = [0.1, 0.2, 0.4, 1.5].map((score) => judgedImage(score));
const bad = [0.3, 2, 3].map((score) => judgedImage(score, {}, 'crack & dent'));
const images = [...good, ...bad];

const textOf = (page: string) =>
  page
    .replace(/<style>.*?<\/style>/gs, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');
const exhibit = (judged: JudgedImage, marked?: string): Exhibit => ({
  judged,
  files: { part: '001-part.jpg', overlay: '001-overlay.png', ...(marked && { marked }) },
  aspect: 1.5,
});

test('the page tells figures, warnings, and what was wrong or right', () => {
  const sections = [
    { title: 'Good images', exhibits: [exhibit(good[3]!)] },
    { title: 'crack & dent', exhibits: [exhibit(bad[0]!, '002-marked.png'), exhibit(bad[2]!)] },
  ];
  const page = reportPage(evaluate(images), sections, { hasRoc: true });
  const text = textOf(page);
  expect(text).toContain('Evaluation of kol v3');
  expect(text).toContain('Warning. a &lt;mask&gt; (MASK_EMPTY)');
  expect(text).toMatch(/good images 3 1 25\.0 % 4\.6 % to 69\.9 %/);
  expect(text).toMatch(/defective images 1 2 33\.3 % 6\.1 % to 79\.2 %/);
  expect(text).toMatch(/crack &amp; dent 3 1 33\.3 % 6\.1 % to 79\.2 % 0\.8333 unknown/);
  const badges = [...page.matchAll(/<p class="verdict">([^<]*)</g)].map(([, badge]) => badge);
  expect(badges).toEqual(['\u2715 False alarm', '\u2715 Missed', '\u2713 Found']);
  const pictures = [...page.matchAll(/<img src="pictures\/([^"]*)"/g)].map(([, name]) => name);
  const pair = ['001-part.jpg', '001-overlay.png'];
  expect(pictures).toEqual([...pair, ...pair, '002-marked.png', ...pair]);
});

test('the page opens from disk: no script, nothing from elsewhere', () => {
  const page = reportPage(evaluate(images), [], { hasRoc: true });
  expect(page).not.toMatch(/<script|https?:|url\(|@import/);
  expect(page).toContain('prefers-color-scheme: dark');
});

test('without defective images there is no curve, and the page says so', () => {
  const evaluation = evaluate(good);
  expect(rocChart(evaluation, good)).toBeUndefined();
  const text = textOf(reportPage(evaluation, [{ title: 'False alarms', exhibits: [] }], { hasRoc: false }));
  expect(text).toContain('There were no defective images.');
  expect(text).toContain('defective images 0 0 unknown');
  expect(text).toContain('False alarms None.');
});

const figure = (mean: number, gain: number | null, reach = 0.05): FigureSummary => ({
  ...{ images: 5, mean, interval: [mean - reach, mean + reach] },
  gains: gain === null ? null : (Object.fromEntries(drawnMaps.map((name) => [name, estimate(gain)])) as Gains),
});
type Gains = NonNullable<FigureSummary['gains']>;
const estimate = (mean: number): Gains[keyof Gains] => ({ mean, interval: [mean - 0.05, mean + 0.05] });
const summary = (gain: number | null, road: number): MethodSummary => ({
  ...{ energyInMask: null, pointingGame: null, severityDeletion: null },
  ...{
    deletion: figure(0.4, gain),
    insertion: figure(0.6, gain),
    flipping: figure(0.5, gain),
    road: figure(road, gain),
  },
});
const explanations: ExplanationsReport = {
  ...{ images: 5, defective: 9, withMask: 0, maskShare: null, noiseImages: 7, meanProbability: 0.4 },
  classifier: { of: 'bundle', weak: true, heldOutAuroc: 0.71, testAuroc: null },
  measured: 'probability of a defect',
  methods: { 'grad-cam': summary(0.2, -0.3), 'layer-cam': summary(0.01, 0.1), 'random-regions': summary(null, 0) },
};

test('explanations stand side by side, with a star where a map drawn by lot is as good', () => {
  const charts = [{ name: 'faithfulness', text: 'a & b' }];
  const pictures = [{ name: 'explanations-1.png', text: 'a part' }];
  const explained = { report: explanations, charts, pictures };
  const page = reportPage(evaluate(images), [], { hasRoc: false, explained });
  const text = textOf(page);
  expect(text).toMatch(/deletion insertion flipping ROAD better lower higher lower higher/);
  expect(text).toContain('grad-cam 0.400 0.600 0.500 -0.300');
  expect(text).toContain('layer-cam 0.400* 0.600* 0.500* 0.100*');
  expect(text).toContain('random-regions drawn by lot 0.400 0.600 0.500 0.000');
  expect(text).toMatch(/the classifier is weak \(AUROC 0\.71 of held-out images, unknown of this set\)/);
  expect(text).toMatch(/takes these defects for good parts/);
  expect(page).toContain('src="faithfulness.svg" alt="a &amp; b"');
  expect(page).toContain('src="pictures/explanations-1.png"');
  expect(page).not.toMatch(/<script|https?:|url\(|@import/);
});

test('the terminal says the same in columns', () => {
  const [, titles, better, ...rows] = describeExplanations(explanations);
  expect(titles).toMatch(/^ +deletion {2}insertion {2}flipping {4}ROAD$/);
  const ends = (line: string) => [...line.matchAll(/\S(?= |$)/g)].map(({ index }) => index);
  expect(ends(better!).slice(1)).toEqual(ends(titles!));
  expect(ends(rows[1]!).slice(1)).toEqual(ends(titles!));
  expect(rows.join('\n')).toContain('5 of 9 defective images, 0 of them with a mask\n');
});

test('dots stand at the means, coloured by whether chance is beaten, and masks are asked for only where there are any', () => {
  expect(localisationChart(explanations)).toBeUndefined();
  const svg = chartSvg(faithfulnessFiguresChart(explanations));
  const dots = (colour: string) => svg.match(new RegExp(`<circle[^>]*class="fill-${colour}"`, 'g')) ?? [];
  expect(['good', 'suspicious', 'neutral'].map((colour) => dots(colour).length)).toEqual([4, 4, 4]);
});

const groupOf = (svg: string, label: string) =>
  [...svg.matchAll(new RegExp(`<g[^>]*aria-label="${label}"[^>]*>(.*?)</g>`, 'gs'))].map(([, content]) => content!);
const numbers = (text: string) => (text.match(/-?[\d.]+/g) ?? []).map(Number);

test("the curve leads from corner to corner, and the bundle's threshold lies on it", () => {
  const svg = chartSvg(rocChart(evaluate(images), images)!);
  const [chance, curve] = groupOf(svg, 'line').map((group) => numbers(/ d="([^"]*)"/.exec(group)![1]!));
  const [left, bottom, right, top] = chance!;
  expect([...curve!.slice(0, 2), ...curve!.slice(-2)]).toEqual([left, bottom, right, top]);
  const [, y, x] = / cy="([\d.]+)" cx="([\d.]+)"/.exec(svg)!.map(Number);
  const want = [left! + (right! - left!) / 4, bottom! + ((top! - bottom!) * 2) / 3];
  expectClose([x!, y!], want, { atol: 1e-3 });
  const points = curve!.flatMap((value, i) => (i % 2 === 0 ? [[value, curve![i + 1]!]] : []));
  expect(points.some(([px, py]) => Math.hypot(px! - x!, py! - y!) < 0.01)).toBe(true);
});

/** Images in the bars of each kind, left and right of the threshold; the lowest bar holds one. */
function countsOf(svg: string) {
  const rule = Number(/ x1="([\d.]+)"/.exec(groupOf(svg, 'rule').at(-1)!)![1]);
  const bars = groupOf(svg, 'rect').map((group) =>
    [...group.matchAll(/ height="([\d.]+)"[^>]* x="([\d.]+)"/g)].map(([, height, x]) => [Number(height), Number(x)]),
  );
  const unit = Math.min(...bars.flat().map(([height]) => height!));
  const count = (some: number[][]) => Math.round(some.reduce((sum, [height]) => sum + height! / unit, 0));
  return bars.map((ofKind) => [
    count(ofKind.filter(([, x]) => x! < rule)),
    count(ofKind.filter(([, x]) => x! >= rule)),
  ]);
}

test('every image is in a bar of its kind, on the side of its verdict', () => {
  expect(countsOf(chartSvg(scoresChart(evaluate(images), images)))).toEqual([
    [3, 1],
    [1, 2],
  ]);
  const atThreshold = [0.5, 0.9999, 1, 1.0001].map((score) => judgedImage(score));
  expect(countsOf(chartSvg(scoresChart(evaluate(atThreshold), atThreshold)))).toEqual([[2, 2]]);
});

test('scores that are all alike still make a chart', () => {
  const alike = [judgedImage(1), judgedImage(1, {}, 'crack')];
  expect(groupOf(chartSvg(scoresChart(evaluate(alike), alike)), 'rect')).toHaveLength(2);
});

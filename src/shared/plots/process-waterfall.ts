import type { ProcessAttribution } from '../contracts.js';
import { labelAsText } from './label.js';
import { type Bar, drawWaterfall, effectBar, signed, totalBar, waterfallSizeOf } from './waterfall-drawing.js';

/** Features with a bar of their own; the effects of all others are one. */
const mostShown = 8;

/** Of the drawing, in its own units. */
export const processWaterfallSize = ({ features }: ProcessAttribution) =>
  waterfallSizeOf(Math.min(features.length, mostShown + 1) + 2);

/** As SVG: how each number leads from what the model says of usual parts to what it says of this part. */
export function processWaterfallSvg(attribution: ProcessAttribution): string {
  const { model, value, baseValue } = attribution;
  const bars = processBars(attribution);
  const what = quantityOf(attribution);
  const ends = bars.map(({ to }) => to);
  return drawWaterfall(
    {
      description: `${what}: ${formatNumber(value)}, of usual parts ${formatNumber(baseValue)}`,
      heading: shorten(what, 56),
      ...{ raises: 'raises it', lowers: 'lowers it', remark: `by ${shorten(model.file, 24)}`, bars },
      ticks: ticksOver(Math.min(...ends), Math.max(...ends)),
    },
    labelAsText,
  ).markup;
}

/** What the model tells, in the words of whoever made it. */
export const quantityOf = ({ predicts, output, target, scale }: ProcessAttribution): string =>
  `${predicts ?? output}${target === undefined ? '' : `, value ${target}`}${scale === 'margin' ? ' (margin)' : ''}`;

export const formatNumber = (value: number): string => String(Number(value.toPrecision(4)));

/** Base value, the largest effects first, and the value, to three digits of the largest effect; amounts are differences of the rounded ends. */
export function processBars({ features, value, baseValue }: ProcessAttribution): Bar[] {
  const sorted = features.toSorted((a, b) => Math.abs(b.shap) - Math.abs(a.shap));
  const apart = features.length > mostShown + 1 ? mostShown : features.length;
  const rest = sorted.slice(apart);
  const effects = sorted
    .slice(0, apart)
    .map(({ name, value, shap }) => ({ label: `${shorten(name, 26)}: ${valueText(value)}`, shap }));
  if (rest.length > 0) {
    effects.push({ label: `${rest.length} others`, shap: rest.reduce((sum, { shap }) => sum + shap, 0) });
  }
  const size = Math.max(...features.map(({ shap }) => Math.abs(shap))) || Math.abs(value) || 1;
  const digits = Math.min(12, Math.max(0, 3 - Math.ceil(Math.log10(size))));
  const rounded = (number: number) => Number(number.toFixed(digits));
  const bars = [totalBar('usual parts', baseValue, baseValue, baseValue.toFixed(digits))];
  let from = baseValue;
  for (const { label, shap } of effects) {
    bars.push(effectBar(label, from, from + shap, signed(rounded(from + shap) - rounded(from), digits)));
    from += shap;
  }
  return [...bars, totalBar('this part', value, value, value.toFixed(digits))];
}

const shorten = (text: string, most: number): string =>
  text.length > most ? `${text.slice(0, most - 1)}\u2026` : text;

const valueText = (value: number | null): string => (value === null ? 'missing' : formatNumber(value));

/** Three to six round numbers that hold a range between them. */
function ticksOver(low: number, high: number): { value: number; text: string }[] {
  const range = high - low || Math.abs(high) || 1;
  const power = 10 ** Math.floor(Math.log10(range / 2));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => range / each <= 4)!;
  const first = Math.floor(low / step);
  const count = Math.max(1, Math.ceil(high / step) - first);
  return Array.from({ length: count + 1 }, (_, index) => {
    const value = (first + index) * step;
    return { value, text: formatNumber(value) };
  });
}

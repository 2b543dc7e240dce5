import type { Risk } from '../contracts.js';
import { featureNames } from '../kernels/readable-features.js';
import { describeFeature } from './feature-labels.js';
import { labelAsOutlines, labelAsText } from './label.js';
import { svgToPng } from './svg-to-png.js';
import {
  type Bar,
  drawWaterfall,
  effectBar,
  signed,
  totalBar,
  type Waterfall,
  waterfallSizeOf,
} from './waterfall-drawing.js';

/** Of the drawing, in its own units. */
export const waterfallSize = waterfallSizeOf(featureNames.length + 2);

/** A risk as SVG: how each feature leads from the mean risk of good parts to the risk of this part. */
export const waterfallSvg = (risk: Risk): string => drawWaterfall(waterfallOf(risk), labelAsText).markup;

/** The same as PNG at twice the size, the same pixels on every machine. */
export const waterfallPng = (risk: Risk): Promise<Uint8Array> =>
  svgToPng(drawWaterfall(waterfallOf(risk), labelAsOutlines), 2);

const percent = (risk: number): number => Math.round(1000 * risk) / 10;

/**
 * The base value, one bar per feature with the largest effect first, the probability. Amounts are differences of the rounded
 * ends, so that what is written adds up as what is drawn does.
 */
export function waterfallBars({ baseValue, probability, features }: Risk): Bar[] {
  const total = (label: string, risk: number) => totalBar(label, 0, risk, `${percent(risk).toFixed(1)} %`);
  const bars = [total('good parts on average', baseValue)];
  let from = baseValue;
  for (const feature of features.toSorted((a, b) => Math.abs(b.shap) - Math.abs(a.shap))) {
    const to = from + feature.shap;
    bars.push(effectBar(describeFeature(feature), from, to, signed(percent(to) - percent(from), 1)));
    from = to;
  }
  return [...bars, total('this part', probability)];
}

/** On the way from base to probability a sum of effects may leave the ticks. */
const waterfallOf = (risk: Risk): Waterfall => ({
  description: `Risk of a defect: ${percent(risk.probability).toFixed(1)} %`,
  heading: 'Risk of a defect',
  raises: 'raises the risk',
  lowers: 'lowers the risk',
  remark: 'in percent points',
  bars: waterfallBars(risk),
  ticks: [0, 0.25, 0.5, 0.75, 1].map((value) => ({ value, text: `${100 * value} %` })),
});

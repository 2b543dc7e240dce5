import * as Plot from '@observablehq/plot';
import type { Curve, Faithfulness } from '../explain/faithfulness/faithfulness.js';
import { type Chart, chartPng } from '../shared/plots/chart.js';
import { chartColours } from '../shared/plots/chart-colours.js';

const figure = (value: number): string => value.toFixed(3);

export const faithfulnessPng = (...measured: Parameters<typeof faithfulnessChart>): Promise<Uint8Array> =>
  chartPng(faithfulnessChart(...measured));

/** The probability of a class while more and more pixels are changed, by what the explanation says and at random. */
export function faithfulnessChart(method: string, target: number, faithfulness: Faithfulness): Chart {
  const { flipping, flippingAtRandom, deletion, insertion, roadHottest, roadColdest } = faithfulness;
  const solid: { label: string; colour: string; curve: Curve; strokeDasharray?: string }[] = [
    { label: 'hottest pixels deleted', colour: chartColours.suspicious, curve: deletion },
    { label: 'hottest inserted', colour: chartColours.good, curve: insertion },
    { label: 'hottest flipped', colour: chartColours.third, curve: flipping },
    { label: 'random ones flipped', colour: chartColours.neutral, curve: flippingAtRandom },
    { label: 'ROAD, hottest (solid) and coldest (dashed)', colour: chartColours.fourth, curve: roadHottest },
  ];
  const dashed = { colour: chartColours.fourth, curve: roadColdest, strokeDasharray: '5 4' };
  return {
    title: `Does class ${target} depend on what ${method} names?`,
    subtitle:
      `Areas: deletion ${figure(deletion.area)}, insertion ${figure(insertion.area)}, ` +
      `flipping ${figure(flipping.area)}, at random ${figure(flippingAtRandom.area)}, ` +
      `ROAD ${figure(roadColdest.area)} - ${figure(roadHottest.area)}`,
    legend: solid.map(({ label, colour }) => ({ label, colour })),
    x: { label: 'pixels changed (%)', percent: true, domain: [0, 100] },
    y: { label: `probability of class ${target} (%)`, percent: true, domain: [0, 100] },
    marks: [
      Plot.ruleY([0]),
      ...[...solid, dashed].map(({ curve, colour, ...style }) => {
        const points = Array.from(curve.parts, (part, i) => ({ part, probability: curve.values[i]! }));
        return Plot.line(points, { x: 'part', y: 'probability', stroke: colour, strokeWidth: 2, ...style });
      }),
    ],
  };
}

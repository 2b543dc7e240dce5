import type { FloatTensor, RunGraph } from '../shared/onnx/run-graph.js';
import { type Differentiator, seedOf } from './differentiator.js';
import { type ImageAxes, imageAxes, type Layout } from './image-axes.js';
import type { Picture } from './picture.js';

/** What is to be explained, and with what. */
export interface Question {
  differentiator: Differentiator;
  run: RunGraph;
  /** (N, …) */
  x: FloatTensor;
  layout: Layout;
  /** Where the input was made from an image. */
  picture?: Picture;
  /** T times the class of each of N samples. */
  targets: readonly (readonly number[])[];
  /** The tensor that class activation maps are made of; undefined for the one found by itself. */
  layer?: string | undefined;
  /** Usual inputs to compare with, (M, …): deep-shap needs them. */
  background?: FloatTensor | undefined;
  /** Told how much of a long explanation is done. */
  report?: Report | undefined;
}

export type Report = (done: number, total: number) => void;

export const axesOf = ({ x, layout }: Question): ImageAxes => imageAxes(x.dims, layout);

export const seedFor = ({ differentiator }: Question, targets: readonly number[]): Float32Array =>
  seedOf(targets, differentiator.network.classes);

/** One result for each of the T classes, one after the other. */
export async function forEachTarget<T>(
  { targets, report }: Question,
  make: (targets: readonly number[], report: Report) => Promise<T>,
): Promise<T[]> {
  const results: T[] = [];
  for (const [index, each] of targets.entries()) {
    results.push(await make(each, (done, total) => report?.(index * total + done, targets.length * total)));
  }
  return results;
}

/** Sample n of N. */
export function sampleOf(values: Float32Array, n: number, N: number): Float32Array {
  const size = values.length / N;
  return values.subarray(n * size, (n + 1) * size);
}

/** Arrays of one shape, one after the other, as (N, …). */
export function stack(parts: readonly Float32Array[], dims: readonly number[]): FloatTensor {
  const size = dims.reduce((product, length) => product * length, 1);
  const data = new Float32Array(parts.length * size);
  parts.forEach((part, index) => {
    data.set(part, index * size);
  });
  return { data, dims: [parts.length, ...dims] };
}

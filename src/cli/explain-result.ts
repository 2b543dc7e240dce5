import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Check } from '../explain/checks.js';
import { displayExplanation, scaleEach } from '../explain/display.js';
import { type ImageAxes, imageAxes } from '../explain/image-axes.js';
import type { Explanation, Method } from '../explain/methods.js';
import { type Question, sampleOf } from '../explain/question.js';
import { PatchlineError } from '../shared/errors.js';
import { encodePng } from '../shared/image.js';
import { overlay } from '../shared/kernels/overlay.js';
import { writeNpy } from '../shared/npy.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import type { ExplainedInput } from './explain-input.js';

/** What the command prints with --json. */
export interface ExplanationReport {
  method: string;
  /** Tensors of the model. */
  output: string;
  layer?: string;
  /** Of what was written. */
  shape: number[];
  explained: { sample: number; class: number; score: number; completenessGap?: number }[];
  checks?: Check[];
  files: string[];
}

export interface Explained {
  /** A .npy file, else a directory. */
  out: string;
  /** Whether the values before any display step are written. */
  raw: boolean;
  name: string;
  method: Method;
  question: Question;
  input: ExplainedInput;
  explanation: Explanation;
  /** (N, K) */
  scores: Float32Array;
  layer: string | undefined;
  checks: Check[] | undefined;
}

/** Writes the explanation where --out says. */
export async function writeExplanation(explained: Explained): Promise<ExplanationReport> {
  const { out, raw, question, explanation, method, scores, layer, checks } = explained;
  const { network } = question.differentiator;
  const { maps, completenessGaps } = explanation;
  assertFinite(maps);
  const isFile = out.endsWith('.npy');
  const shown =
    isFile && raw
      ? []
      : maps.map((map) => displayExplanation(method.kind, map, imageAxes(question.x.dims, question.layout)));
  const { data, dims } = joinTargets(raw ? maps : shown);
  await mkdir(isFile ? dirname(out) : out, { recursive: true });
  const file = isFile ? out : join(out, 'explanation.npy');
  await writeFile(file, writeNpy({ dtype: 'float32', shape: [...dims], data }));
  const pictures = isFile ? [] : await writeOverlays(shown, explained);
  return {
    method: explained.name,
    output: network.output,
    ...(layer !== undefined && { layer }),
    shape: [...dims],
    explained: question.targets.flatMap((classes, t) =>
      classes.map((target, sample) => ({
        sample,
        class: target,
        score: scores[sample * network.classes + target]!,
        ...(completenessGaps && { completenessGap: completenessGaps[t]![sample]! }),
      })),
    ),
    ...(checks && { checks }),
    files: [file, ...pictures],
  };
}

function assertFinite(maps: readonly FloatTensor[]): void {
  for (const { data } of maps) {
    const index = data.findIndex((value) => !Number.isFinite(value));
    if (index < 0) continue;
    const message = `Expected finite values in the explanation but received ${data[index]}: the network cannot be differentiated at this input`;
    throw new PatchlineError('VALUES_NOT_FINITE', message);
  }
}

/** Several classes make a leading axis. */
function joinTargets(maps: readonly FloatTensor[]): FloatTensor {
  const [first] = maps as [FloatTensor];
  if (maps.length === 1) return first;
  const data = new Float32Array(maps.length * first.data.length);
  maps.forEach((map, index) => {
    data.set(map.data, index * first.data.length);
  });
  return { data, dims: [maps.length, ...first.dims] };
}

/** overlay.png, or one for each class and sample; none where the input is no picture of one or three channels. */
async function writeOverlays(shown: readonly FloatTensor[], { out, question, input }: Explained) {
  const axes = imageAxes(question.x.dims, question.layout);
  const { N, C, H, W } = axes;
  if (C !== 1 && C !== 3) return [];
  const files: string[] = [];
  for (const [t, { data }] of shown.entries()) {
    for (let n = 0; n < N; n++) {
      const pixels = input.pixels ?? pixelsOf(sampleOf(question.x.data, n, N), axes);
      const drawn = overlay(pixels, sampleOf(data, n, N));
      const isOnly = N === 1 && shown.length === 1;
      const file = join(out, isOnly ? 'overlay.png' : `overlay-sample-${n}-class-${question.targets[t]![n]}.png`);
      await writeFile(file, await encodePng(drawn, { height: H, width: W, channels: 3 }));
      files.push(file);
    }
  }
  return files;
}

/** One sample of an array as a picture (H, W, 3): its smallest value black, its largest white. */
function pixelsOf(sample: Float32Array, { C, H, W, channelStep, positionStep }: ImageAxes): Uint8Array {
  const scaled = scaleEach(sample, 1);
  const pixels = new Uint8Array(H * W * 3);
  for (let p = 0; p < H * W; p++) {
    for (let k = 0; k < 3; k++) {
      pixels[3 * p + k] = Math.round(255 * scaled[p * positionStep + (C === 3 ? k : 0) * channelStep]!);
    }
  }
  return pixels;
}

export function describeExplanation({ method, output, layer, shape, explained, checks, files }: ExplanationReport) {
  const number = (value: number) => String(Number(value.toPrecision(6)));
  const several = new Set(explained.map(({ sample }) => sample)).size > 1;
  const place = (sample: number) => (several ? ` of sample ${sample}` : '');
  return [
    `${method} of ${output}${layer === undefined ? '' : ` at ${layer}`}`,
    ...explained.map(
      ({ sample, class: target, score, completenessGap: gap }) =>
        `class ${target}${place(sample)}: score ${number(score)}${gap === undefined ? '' : `, completeness gap ${number(gap)}`}`,
    ),
    ...(checks?.length === 0 ? [`check: ${method} promises nothing that could be checked`] : []),
    ...(checks ?? []).map(
      ({ promise, sample, class: target, expected, received }) =>
        `check of class ${target}${place(sample)}: ${promise}: ${number(received)} and ${number(expected)}`,
    ),
    ...files.map((file, index) => `wrote ${file}${index === 0 ? ` [${shape.join(', ')}]` : ''}`),
  ];
}

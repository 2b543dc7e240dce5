import { pMapIterable } from 'p-map';
import { PatchlineError } from '../shared/errors.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { type PackedModel, packModel } from '../shared/onnx/packed-model.js';
import type { RunGraph } from '../shared/onnx/run-graph.js';
import { addFloatOutput } from './graph-ports.js';
import type { Network } from './network.js';
import { runsAtATime } from './runs-at-a-time.js';

/** Images to score, made one by one, because all of them together are many. */
export interface Rows {
  count: number;
  /** Fills `target`, an array of the shape of one sample, with row `index`. */
  write(index: number, target: Float32Array): void;
}

/** Scores of many images: (rows, K). `report` is told how many rows are done. */
export type ScoreRows = (rows: Rows, report?: (done: number, total: number) => void) => Promise<Float32Array>;

/** At 224 × 224 the activations of more fall out of the caches, and each row costs more. */
const rowsOfBatch = 4;

/** Scores images in batches: of 4 where the network takes any number, else of as many as it was bound to. */
export async function createRowScorer(network: Network, run: RunGraph): Promise<ScoreRows> {
  const { input, classes, samples } = network;
  const graph = scoreGraph(network);
  const sampleDims = network.inputDims.slice(1);
  const size = sampleDims.reduce((product, length) => product * length, 1);

  async function scoreBatch(batch: number, fill: (data: Float32Array) => void): Promise<Float32Array> {
    const data = new Float32Array(batch * size);
    fill(data);
    const results = await run(graph, { [input]: { data, dims: [batch, ...sampleDims] } });
    const { data: scores, dims } = results[resultName]!;
    if (dims[0] === batch && dims[1] === classes) return scores;
    throw new PatchlineError('MODEL_INPUT_MISMATCH', `Expected scores [${batch}, ${classes}] but received [${dims}]`);
  }
  const takesBatches =
    samples === rowsOfBatch ||
    (await scoreBatch(rowsOfBatch, () => {}).then(
      () => true,
      () => false,
    ));
  const batch = takesBatches ? rowsOfBatch : samples;

  return async ({ count, write }, report) => {
    const scores = new Float32Array(count * classes);
    const starts = Array.from({ length: Math.ceil(count / batch) }, (_, index) => index * batch);
    const scoreFrom = async (start: number) => {
      const rows = Math.min(batch, count - start);
      const found = await scoreBatch(takesBatches ? rows : batch, (data) => {
        for (let row = 0; row < rows; row++) write(start + row, data.subarray(row * size, (row + 1) * size));
      });
      return { start, rows, found };
    };
    for await (const { start, rows, found } of pMapIterable(starts, scoreFrom, runsAtATime)) {
      scores.set(found.subarray(0, rows * classes), start * classes);
      report?.(start + rows, count);
    }
    return scores;
  };
}

const resultName = 'patchline.result';

function scoreGraph({ model, output, tensors }: Network): PackedModel {
  const graph = createGraphBuilder({ base: model });
  addFloatOutput(graph, resultName, output, tensors.get(output)!.type);
  return packModel(graph.build());
}

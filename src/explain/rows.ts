import { pMapIterable } from 'p-map';
import { PatchlineError } from '../shared/errors.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import type { ModelProto } from '../shared/onnx/model.js';
import { type PackedModel, packModel } from '../shared/onnx/packed-model.js';
import type { FloatTensors, RunGraph } from '../shared/onnx/run-graph.js';
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

/** What a graph is fed for `rows` rows from `start` on; the batch may be larger, and the rest of it is not looked at. */
export type FeedBatch = (start: number, rows: number, batch: number) => FloatTensors;

/** Scores `count` rows, (count, K). */
export type ScoreBatches = (
  count: number,
  feed: FeedBatch,
  report?: (done: number, total: number) => void,
) => Promise<Float32Array>;

/** Of one thread, on a convolutional network: more rows leave the processor's cache and take longer each. */
const rowsOfBatch = 4;

/** Scores images in batches. */
export function createRowScorer(network: Network, run: RunGraph): ScoreRows {
  const scoreBatches = createBatchScorer(network, run, packModel(withScores(network, network.model)));
  const sampleDims = network.inputDims.slice(1);
  const size = sampleDims.reduce((product, length) => product * length, 1);
  return ({ count, write }, report) =>
    scoreBatches(
      count,
      (start, rows, batch) => {
        const data = new Float32Array(batch * size);
        for (let row = 0; row < rows; row++) write(start + row, data.subarray(row * size, (row + 1) * size));
        return { [network.input]: { data, dims: [batch, ...sampleDims] } };
      },
      report,
    );
}

/** Batches of a few rows where the network takes any number, else of as many as it was bound to. */
export function createBatchScorer({ classes, samples }: Network, run: RunGraph, graph: PackedModel): ScoreBatches {
  async function scoreBatch(feeds: FloatTensors, batch: number): Promise<Float32Array> {
    const { data, dims } = (await run(graph, feeds))[resultName]!;
    if (dims[0] === batch && dims[1] === classes) return data;
    throw new PatchlineError('MODEL_INPUT_MISMATCH', `Expected scores [${batch}, ${classes}] but received [${dims}]`);
  }
  let takesBatches: Promise<boolean> | undefined;

  return async (count, feed, report) => {
    takesBatches ??= scoreBatch(feed(0, Math.min(rowsOfBatch, count), rowsOfBatch), rowsOfBatch).then(
      () => true,
      () => false,
    );
    const isFree = await takesBatches;
    const batch = isFree ? rowsOfBatch : samples;
    const scores = new Float32Array(count * classes);
    const starts = Array.from({ length: Math.ceil(count / batch) }, (_, index) => index * batch);
    const scoreFrom = async (start: number) => {
      const rows = Math.min(batch, count - start);
      const size = isFree ? rows : batch;
      return { start, rows, found: await scoreBatch(feed(start, rows, size), size) };
    };
    for await (const { start, rows, found } of pMapIterable(starts, scoreFrom, runsAtATime)) {
      scores.set(found.subarray(0, rows * classes), start * classes);
      report?.(start + rows, count);
    }
    return scores;
  };
}

const resultName = 'patchline.result';

/** A model that has the network's class scores as its result, float32. */
export function withScores({ output, tensors }: Network, base: ModelProto): ModelProto {
  const graph = createGraphBuilder({ base });
  addFloatOutput(graph, resultName, output, tensors.get(output)!.type);
  return graph.build();
}

import { expect, test } from 'vitest';
import type { DefectSamples } from '../../../src/fit/defect-samples.js';
import { joinSamples } from '../../../src/fit/grow-samples.js';
import { shareFloats } from '../../../src/shared/compute.js';
import { expectClose } from '../../helpers/arrays.js';

/** Samples whose numbers all are the name of the sample. */
function samples(names: number[], labels: number[], groups: number[]): DefectSamples {
  const repeated = (times: number) => names.flatMap((name) => Array(times).fill(name));
  return {
    embeddings: shareFloats(Float32Array.from(repeated(1280))),
    features: Float64Array.from(repeated(5)),
    labels: Uint8Array.from(labels),
    groups: Int32Array.from(groups),
  };
}

const everyNth = (values: ArrayLike<number>, n: number) => Array.from(values).filter((_, index) => index % n === 0);
/** 3 old images, 1 and 2 of them with a synthetic defect; 2 new ones, the second with a defect. */
const old = samples([1, 2, 3, 4, 5], [0, 0, 0, 1, 1], [0, 1, 2, 1, 2]);
const added = samples([6, 7, 8], [0, 0, 1], [0, 1, 1]);

test('samples are joined, good images first, and defects stay with the images that they were made on', () => {
  const joined = joinSamples(old, added, 3, true);
  expect([...joined.labels]).toEqual([0, 0, 0, 0, 0, 1, 1, 1]);
  expect([...joined.groups]).toEqual([0, 1, 2, 3, 4, 1, 2, 4]);
  const names = [1, 2, 3, 6, 7, 4, 5, 8];
  expectClose(everyNth(joined.features, 5), names);
  expectClose(everyNth(joined.embeddings, 1280), names);
  expectClose(joined.features.slice(-5), Array(5).fill(8));
});

test('labelled defects take the place of those that were made up', () => {
  const labelled = samples([6, 7, 8, 9], [0, 0, 1, 1], [0, 1, 2, 3]);
  const joined = joinSamples(old, labelled, 3, false);
  expectClose(everyNth(joined.features, 5), [1, 2, 3, 6, 7, 8, 9]);
  expect([...joined.labels]).toEqual([0, 0, 0, 0, 0, 1, 1]);
  expect([...joined.groups]).toEqual([0, 1, 2, 3, 4, 5, 6]); // each belongs to itself alone
});

test('labelled defects of the bundle share a group with nothing', () => {
  const labelled = samples([1, 2, 3, 4], [0, 0, 0, 1], [0, 1, 2, 3]);
  expect([...joinSamples(labelled, added, 3, true).groups]).toEqual([0, 1, 2, 3, 4, 5, 4]);
});

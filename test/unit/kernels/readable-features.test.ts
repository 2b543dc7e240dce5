import { expect, test } from 'vitest';
import { mean, variance } from '../../../src/shared/kernels/quantile.js';
import { featureNames, readableFeatures } from '../../../src/shared/kernels/readable-features.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('feature-vector'))('golden case $name', (golden) => {
  const distances = golden.float32('patch_scores').data;
  const depth = golden.float32('depth').data;
  const { data: grey, shape } = golden.uint8('grey');
  const features = readableFeatures({
    meanPatchDistance: mean(distances),
    maxPatchDistance: Math.max(...distances),
    depth,
    pixels: Uint8Array.from({ length: 3 * grey.length }, (_, i) => grey[Math.floor(i / 3)]!),
    H: shape[0]!,
    W: shape[1]!,
  });
  golden.check({ features, depth_variance: variance(depth) }, ['depth_variance_minmax']);
});

test('the order of the features is fixed', () => {
  expect(featureNames).toEqual([
    'mean_patch_distance',
    'max_patch_distance',
    'depth_variance',
    'edge_density',
    'texture_regularity',
  ]);
});

test('the pixels have to have three channels', () => {
  const sources = { meanPatchDistance: 1, maxPatchDistance: 2, depth: new Float32Array(4), H: 2, W: 2 };
  expect(() => readableFeatures({ ...sources, pixels: new Uint8Array(4) })).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});

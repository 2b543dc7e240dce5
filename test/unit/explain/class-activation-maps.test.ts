import { expect, test } from 'vitest';
import { displayCam } from '../../../src/explain/cam/display.js';
import { requireHead } from '../../../src/explain/cam/explain.js';
import { gradCam } from '../../../src/explain/cam/grad-cam.js';
import { gradCamPlusPlusWithEpsilon } from '../../../src/explain/cam/grad-cam-plus-plus-variants.js';
import { maskedRows, scoreCam, scoreCamMasks, softmax } from '../../../src/explain/cam/score-cam.js';
import { imageAxes } from '../../../src/explain/image-axes.js';
import { requireLayer } from '../../../src/explain/layers.js';
import { methods } from '../../../src/explain/methods.js';
import type { Question } from '../../../src/explain/question.js';
import { createRowScorer } from '../../../src/explain/rows.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCase, goldenCases } from '../../helpers/golden.js';
import { openGoldenLayer } from '../../helpers/networks.js';

const noArrays = () => Promise.reject(new Error('no array is named'));

/** The only map of a method, (h, w), with the network's own activations and gradients. */
async function explain(method: string, question: Question, options: object = {}): Promise<Float32Array> {
  const { maps } = await methods[method]!.prepare(options)(question, noArrays);
  expect(maps).toHaveLength(1);
  return maps[0]!.data;
}

test.each(goldenCases('cam'))('golden case cam $name', async (golden) => {
  const { question, activations, C, h, w, target, differentiator } = await openGoldenLayer(golden);
  const map = await explain('cam', question);
  golden.check({ map, final_seed000: displayCam(Float32Array.from(map), h, w, 32, 32) }, [
    ...['map_abs', 'map_up_cubic', 'final_pgc'],
  ]);
  const { layer, weights } = requireHead(question);
  expect(layer).toBe('features');
  expectClose(weights.subarray(target * C, (target + 1) * C), golden.float32('weight').data);
  const { data } = await differentiator.activations('features', question.x.data);
  expectClose(data, activations, { atol: 1e-5, rtol: 1e-4 });
});

test.each(goldenCases('grad-cam'))('golden case grad-cam $name', async (golden) => {
  const { question, differentiator, activations, C, h, w } = await openGoldenLayer(golden);
  expect(requireLayer(differentiator.network).name).toBe('features');
  const map = await explain('grad-cam', question);
  const { channelWeights } = gradCam(activations, golden.float32('gradients').data, C, h, w);
  const shown = displayCam(Float32Array.from(map), h, w, 32, 32);
  const others = ['map_relu', 'map_abs', 'final_pgc', 'final_seed003'];
  golden.check({ weights: channelWeights, map, final_seed000: shown }, others);
});

test.each(goldenCases('hires-cam'))('golden case hires-cam $name', async (golden) => {
  const { question, h, w } = await openGoldenLayer(golden);
  const map = await explain('hires-cam', question);
  golden.check({ map, final_seed000: displayCam(Float32Array.from(map), h, w, 32, 32) }, ['final_pgc']);
});

test.each(goldenCases('layer-cam'))('golden case layer-cam $name', async (golden) => {
  const { question, h, w } = await openGoldenLayer(golden);
  const map = await explain('layer-cam', question);
  golden.check({ map, final_seed000: displayCam(Float32Array.from(map), h, w, 32, 32) }, ['final_pgc']);
});

const plusPlusCases = goldenCases('grad-cam-plus-plus').filter(({ name }) => name !== 'hand-edge');

test.each(plusPlusCases)('golden case grad-cam-plus-plus $name, every variant', async (golden) => {
  const { question, activations, C, h, w } = await openGoldenLayer(golden);
  const gradients = golden.float32('gradients').data;
  const [relu, signed] = (['relu-gradient', 'signed-gradient'] as const).map((variant) =>
    gradCamPlusPlusWithEpsilon(activations, gradients, C, h, w, variant),
  );
  const map = await explain('grad-cam++', question, { variant: 'relu-gradient' });
  const closed = await explain('grad-cam++', question);
  golden.check(
    {
      weights_seed000: relu!.channelWeights,
      map_seed000: map,
      final_seed000: displayCam(Float32Array.from(map), h, w, 32, 32),
      weights_pgc: signed!.channelWeights,
      map_pgc: await explain('grad-cam++', question, { variant: 'signed-gradient' }),
      map_closed: closed,
      map_seed004: closed, // the closed form with Y = exp(S), divided by exp(S)
    },
    ['weights_closed', 'final_closed_seed000', 'alpha_closed', 'final_pgc', 'final_closed_pgc'],
  );
});

test('golden case hand-edge of grad-cam-plus-plus: where the denominator is 0, epsilon alone decides', () => {
  const golden = goldenCase('grad-cam-plus-plus', 'hand-edge');
  const [A, g] = [golden.float32('activations').data, golden.float32('gradients').data];
  const relu = gradCamPlusPlusWithEpsilon(A, g, 5, 2, 2, 'relu-gradient');
  const signed = gradCamPlusPlusWithEpsilon(A, g, 5, 2, 2, 'signed-gradient');
  golden.check(
    {
      weights_seed000: relu.channelWeights,
      map_seed000: relu.map,
      weights_pgc: signed.channelWeights,
      map_pgc: signed.map,
    },
    ['weights_closed_0_3'],
  );
});

test.each(goldenCases('score-cam'))('golden case score-cam $name, both variants', async (golden) => {
  const { question, differentiator, x, activations, C, h, w, target } = await openGoldenLayer(golden);
  const axes = imageAxes(x.dims, 'nchw');
  const scoreRows = createRowScorer(differentiator.network, runGraph);
  const scoresOf = async (variant: 'logit-weights' | 'softmax-weights') => {
    const masks = scoreCamMasks(activations, { C, h, w }, axes, variant);
    const scores = await scoreRows(maskedRows(x.data, axes, [masks], C));
    return { scores: Float32Array.from({ length: C }, (_, c) => scores[c * 5 + target]!) };
  };
  const [logit, soft] = [await scoresOf('logit-weights'), await scoresOf('softmax-weights')];
  golden.check(
    {
      scores_seed004: logit.scores,
      map_seed004: scoreCam(activations, logit.scores, { C, h, w }, axes, 'logit-weights'),
      scores_pgc: soft.scores,
      weights_pgc: softmax(soft.scores),
      map_pgc: scoreCam(activations, soft.scores, { C, h, w }, axes, 'softmax-weights'),
    },
    ['final_pgc'],
  );
  golden.check(
    {
      map_seed004: await explain('score-cam', question),
      map_pgc: await explain('score-cam', question, { variant: 'softmax-weights' }),
    },
    ['scores_seed004', 'scores_pgc', 'weights_pgc', 'final_pgc'],
  );
});

import { createDifferentiator, seedOf } from '../dist/explain/differentiator.js';
import { methods } from '../dist/explain/methods.js';
import { bindNetwork } from '../dist/explain/network.js';
import { median } from '../dist/shared/kernels/quantile.js';
import { readNetwork } from '../dist/shared/networks.js';
import { readModel } from '../dist/shared/onnx/model.js';
import { runGraph } from '../dist/shared/onnx/run-graph.js';

/** Of the square image. */
const size = 224;
const steps = 50;
/** Of the layer that Score-CAM masks by. */
const channels = 1280;

/** A smooth image, on whose way from black the gradient changes little enough for few steps. */
function makeImage() {
  const value = (/** @type {number} */ i) => {
    const [colour, y, x] = [Math.floor(i / size ** 2), Math.floor(i / size) % size, i % size];
    return 0.5 + 0.4 * Math.sin(y / 20 + colour) * Math.cos(x / 30);
  };
  return { data: Float32Array.from({ length: 3 * size ** 2 }, (_, i) => value(i)), dims: [1, 3, size, size] };
}

async function askNetwork() {
  const x = makeImage();
  const network = await bindNetwork(readModel(await readNetwork('float')), x, 'logits');
  const differentiator = createDifferentiator(network, runGraph);
  const scores = await differentiator.scores(x.data);
  const target = scores.indexOf(Math.max(...scores));
  /** @type {import('../dist/explain/question.js').Question} */
  const question = { differentiator, run: runGraph, x, layout: 'nchw', targets: [[target]] };
  const explain = (/** @type {string} */ name, options = {}) => {
    return /** @type {import('../dist/explain/methods.js').Method} */ (methods[name]).prepare(options)(question, () =>
      Promise.reject(new Error('Expected no array to be read')),
    );
  };
  return { differentiator, x: x.data, seed: seedOf([target], network.classes), explain };
}

/** What the steps of the integral miss has to be little of the difference that they explain. */
function checkCompleteness(/** @type {import('../dist/explain/methods.js').Explanation} */ { maps, completenessGaps }) {
  const [{ data }] = /** @type {[import('../dist/shared/onnx/run-graph.js').FloatTensor]} */ (maps);
  const sum = data.reduce((total, value) => total + value, 0);
  const gap = Number(completenessGaps?.[0]?.[0]);
  if (!(Math.abs(gap) < 0.1 * Math.abs(sum))) throw new Error(`The attributions sum to ${sum}, which is off by ${gap}`);
}

/** CPU time, because other processes stretch the time of runs as long as these. */
async function cpuMsOf(/** @type {() => Promise<unknown>} */ form) {
  const startedAt = process.cpuUsage();
  await form();
  const { user, system } = process.cpuUsage(startedAt);
  return (user + system) / 1000;
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'explain',
  about:
    `Explanations of the likeliest class of EfficientNet-Lite2 (\`src/explain/\`), ${size} × ${size}, against its forward pass ` +
    `beside each. Integrated gradients of ${steps} steps differentiate at ${steps + 1} points; Score-CAM scores an image for ` +
    `each of ${channels} channels.`,
  async run() {
    const { differentiator, x, seed, explain } = await askNetwork();
    const integrate = () => explain('integrated-gradients', { steps });
    checkCompleteness(await integrate());
    const forward = () => differentiator.scores(x);

    /**
     * @param {string} name
     * @param {() => Promise<unknown>} form
     * @param {number} rounds
     * @param {number} points that the network is run at
     */
    async function row(name, form, rounds, points) {
      const [times, forwards] = [new Float64Array(rounds), new Float64Array(10 * rounds)];
      for (let round = 0; round < rounds; round++) {
        for (let i = 10 * round; i < 10 * (round + 1); i++) forwards[i] = await cpuMsOf(forward);
        times[round] = await cpuMsOf(form);
      }
      const ratio = median(times) / median(forwards);
      return [
        name,
        Math.min(...times).toFixed(1),
        median(times).toFixed(1),
        ratio.toFixed(2),
        (ratio / points).toFixed(2),
      ];
    }
    const gradient = () => differentiator.gradient(x, seed);
    const cam = () => explain('grad-cam++');
    for (const form of [forward, gradient, cam]) await form();
    return {
      columns: ['method', 'min CPU ms', 'median CPU ms', 'times the forward pass', 'per point'],
      rows: [
        await row('forward', forward, 25, 1),
        await row('gradient by the image, with its forward pass', gradient, 25, 1),
        await row('Grad-CAM++ at the last feature map', cam, 25, 1),
        await row(`integrated gradients, ${steps} steps`, integrate, 3, steps + 1),
        await row(`Score-CAM, ${channels} channels`, () => explain('score-cam'), 1, channels),
      ],
    };
  },
};

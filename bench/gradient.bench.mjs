import { Tensor } from 'onnxruntime-node';
import { createRandom } from '../dist/shared/kernels/random.js';
import { readNetwork } from '../dist/shared/networks.js';
import { appendGradients } from '../dist/shared/onnx/gradient.js';
import { createGraphBuilder } from '../dist/shared/onnx/graph-builder.js';
import { readModel, writeModel } from '../dist/shared/onnx/model.js';
import { createSession } from '../dist/shared/onnx/session.js';
import { traceTensors } from '../dist/shared/onnx/traced-tensors.js';
import { measure } from './measure.mjs';

/** Of the square image. */
const size = 224;
const rounds = 25;
const target = 281;

/**
 * The gradient along itself against a central difference of the logit.
 *
 * @param {(image: Float32Array) => Promise<number>} logitOf
 * @param {Float32Array} image
 * @param {Float32Array} gradient
 */
async function check(logitOf, image, gradient) {
  const square = gradient.reduce((sum, each) => sum + each * each, 0);
  const step = 0.02 / Math.sqrt(square);
  const moved = (/** @type {number} */ by) => logitOf(image.map((each, i) => each + by * (gradient[i] ?? Number.NaN)));
  const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
  if (!(Math.abs(slope / square - 1) < 0.05)) throw new Error(`The slope is ${slope}, the gradient's square ${square}`);
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'gradient',
  about:
    'A logit of EfficientNet-Lite2 and its gradient by the image (`src/shared/onnx/gradient.ts`), in one graph, against the logit ' +
    `alone; ${size} × ${size}.`,
  async run() {
    const model = readModel(await readNetwork('float'));
    const random = createRandom(1);
    const dims = [1, 3, size, size];
    const image = Float32Array.from({ length: 3 * size * size }, random.uniform);
    const feedsOf = (/** @type {Float32Array} */ data) => ({ image: new Tensor('float32', data, dims) });
    const tensors = await traceTensors(model, feedsOf(image));

    const plain = createGraphBuilder({ base: model });
    plain.fixDims('image', dims);
    plain.output('logits');
    const both = createGraphBuilder({ base: model });
    const logits = tensors.get('logits')?.dims ?? [];
    const oneHot = Float32Array.from({ length: 1000 }, (_, k) => (k === target ? 1 : 0));
    const seed = both.constant(oneHot, logits);
    const gradients = appendGradients(both, model, tensors, { output: 'logits', seed, targets: ['image'] });
    both.output('logits');
    both.output('gradient', gradients.get('image'));

    const forward = await createSession(writeModel(plain.build()));
    const joined = await createSession(writeModel(both.build()));
    const logitOf = async (/** @type {Float32Array} */ data) =>
      Number((await forward.run(feedsOf(data))).logits?.data[target]);
    const { gradient } = await joined.run(feedsOf(image));
    await check(logitOf, image, /** @type {Float32Array} */ (gradient?.data));

    const feeds = feedsOf(image);
    const times = await measure({ forward: () => forward.run(feeds), joined: () => joined.run(feeds) }, rounds);
    await Promise.all([forward.release(), joined.release()]);
    const row = (/** @type {string} */ name, /** @type {{ min: number, median: number }} */ { min, median }) => [
      ...[name, min.toFixed(2), median.toFixed(2)],
      (median / times.forward.median).toFixed(2),
    ];
    return {
      columns: ['graph', 'min ms', 'median ms', 'times the forward pass'],
      rows: [row('forward', times.forward), row('forward and gradient', times.joined)],
    };
  },
};

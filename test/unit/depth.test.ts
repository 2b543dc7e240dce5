import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { estimateDepth } from '../../src/shared/depth.js';
import { variance } from '../../src/shared/kernels/quantile.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { readNetwork } from '../../src/shared/networks.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { expectClose } from '../helpers/arrays.js';

const random = createRandom(5);
const blots = Float64Array.from({ length: 49 }, () => 255 * random.uniform());
/** (224, 224, 3): a mosaic with noise, so that the depth varies. */
const scene = Uint8Array.from({ length: 224 * 224 * 3 }, (_, i) => {
  const [y, x] = [Math.floor(i / 672), Math.floor(i / 3) % 224];
  return Math.min(255, blots[7 * Math.floor(y / 32) + Math.floor(x / 32)]! + 10 * random.uniform());
});

test('depths are those of the network, each once instead of four times', async () => {
  const planes = Float32Array.from(
    { length: scene.length },
    (_, i) => scene[3 * (i % 50_176) + Math.floor(i / 50_176)]! / 255,
  );
  const session = await createSession(await readNetwork('depth'));
  const { depth } = await session.run({ image: new Tensor('float32', planes, [1, 3, 224, 224]) });
  await session.release();
  const whole = depth!.data as Float32Array;
  const once = whole.filter((_, i) => i % 2 === 0 && Math.floor(i / 224) % 2 === 0);
  const estimated = await estimateDepth(scene, 224, 224);
  expectClose(estimated, once, { atol: 1e-5 });
  expect(variance(whole)).toBeGreaterThan(1e-3);
  expect(Math.abs(variance(estimated) / variance(whole) - 1)).toBeLessThan(1e-5);
});

test('an image of another size is resized to what the network was trained at', async () => {
  const half = Uint8Array.from(
    { length: 112 * 112 * 3 },
    (_, i) => blots[7 * Math.floor(i / 5376) + Math.floor(((i / 3) % 112) / 16)]!,
  );
  const depth = await estimateDepth(half, 112, 112);
  expect(depth).toHaveLength(112 * 112);
  const same = await estimateDepth(scene, 224, 224);
  expect(Math.abs(variance(depth) / variance(same) - 1)).toBeLessThan(0.2);
});

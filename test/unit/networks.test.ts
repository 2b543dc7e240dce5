import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import {
  featureChannels,
  layerNames,
  layers,
  type NetworkKind,
  networks,
  readNetwork,
} from '../../src/shared/networks.js';
import { readModel } from '../../src/shared/onnx/model.js';

const kinds: NetworkKind[] = ['int8', 'float'];

test('models/README.md names every file with its sha256', async () => {
  const readme = await readFile('models/README.md', 'utf8');
  for (const { file, sha256 } of Object.values(networks)) {
    expect(readme).toMatch(new RegExp(`\\| ${file} \\|.*\\| ${sha256} \\|`));
  }
});

test.each(kinds)('%s has the outputs that the graphs are composed from', async (kind) => {
  const { graph } = readModel(await readNetwork(kind));
  const channels = graph.output.map(({ name, type }) => [name, type!.tensorType!.shape!.dim[1]!.dimValue]);
  const [stride8, stride16, stride32] = [layers.stride8.channels, layers.stride16.channels, layers.stride32.channels];
  const expected = { stride8, stride16, stride32, features: featureChannels, embedding: featureChannels };
  expect(Object.fromEntries(channels)).toMatchObject(expected);
  const tensors = new Set(graph.node.flatMap(({ output }) => output));
  for (const name of layerNames) expect([name, tensors.has(name) || tensors.has(`${name}_dq`)]).toEqual([name, true]);
});

test('the depth network has one output', async () => {
  const { graph } = readModel(await readNetwork('depth'));
  expect(graph.output.map(({ name }) => name)).toEqual(['depth']);
});

test('a network file that is missing, cut short or changed is MODEL_DAMAGED', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'patchline-models-'));
  const { file } = networks.int8;
  const read = () => readNetwork('int8', pathToFileURL(`${folder}/`));
  const damaged = expect.objectContaining({ code: 'MODEL_DAMAGED', message: expect.stringContaining(file) });
  await expect(read()).rejects.toEqual(damaged);
  await cp(`models/${file}`, join(folder, file));
  const bytes = await read();
  await writeFile(join(folder, file), bytes.subarray(0, bytes.length - 1));
  await expect(read()).rejects.toEqual(damaged);
  bytes[5_000_000]! ^= 1;
  await writeFile(join(folder, file), bytes);
  await expect(read()).rejects.toEqual(damaged);
  await rm(folder, { recursive: true });
});

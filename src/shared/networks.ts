import { readFile } from 'node:fs/promises';
import { messageOf, PatchlineError } from './errors.js';
import { sha256 } from './keys.js';

/** The pretrained networks in models/, described in models/README.md. */
export const networks = {
  float: {
    file: 'efficientnet-lite2.onnx',
    sha256: '3cc31e1d70b86fdd6c545a541612ce534ae462e2fc41d2d74c55ef140e52736c',
  },
  int8: {
    file: 'efficientnet-lite2-int8.onnx',
    sha256: '04ad8b7a8d8d33208abf0ae63ec5f3e469fc9ef3bd3e883495fc3f09e30dc010',
  },
  depth: {
    file: 'fastdepth.onnx',
    sha256: '09b046c0980ec7e03f98804022e6e54e49b6cd7e050030d03b996e7dc7e1c845',
  },
} as const;
export type NetworkName = keyof typeof networks;
/** The two forms of the network that images are scored with. */
export type NetworkKind = 'int8' | 'float';

/** Height and width of a network's input are multiples of this. */
export const networkStride = 32;
export const featureChannels = 1280;
/** The layers that patch vectors are made of: their channels, and how many pixels of the input one position covers. */
export const layers = {
  stride8: { channels: 48, stride: 8 },
  'block10.out': { channels: 88, stride: 16 },
  stride16: { channels: 120, stride: 16 },
  'block15.project': { channels: 208, stride: 32 },
  stride32: { channels: 208, stride: 32 },
} as const;
export type LayerName = keyof typeof layers;
export const layerNames = Object.keys(layers) as LayerName[];

/** Length of the vectors that these layers make when they are joined. */
export const vectorLength = (names: readonly LayerName[]): number =>
  names.reduce((sum, name) => sum + layers[name].channels, 0);

/** The layers of the memory bank. */
export const bankLayers = ['stride16', 'stride32'] as const satisfies readonly LayerName[];
/** Length of a raw patch vector: both layers of the bank joined. */
export const patchVectorLength = vectorLength(bankLayers);

const modelsFolder = new URL('../../models/', import.meta.url);

/** The bytes of a network file. Throws MODEL_DAMAGED where the file is missing or is not the one expected. */
export async function readNetwork(name: NetworkName, folder = modelsFolder): Promise<Uint8Array> {
  const { file, sha256: expected } = networks[name];
  let bytes: Uint8Array;
  try {
    bytes = await readFile(new URL(file, folder));
  } catch (cause) {
    throw new PatchlineError('MODEL_DAMAGED', `Expected the network models/${file} but ${messageOf(cause)}`, { cause });
  }
  const received = sha256(bytes);
  if (received !== expected) {
    throw new PatchlineError(
      'MODEL_DAMAGED',
      `Expected sha256 ${expected} for models/${file} but received ${received}`,
    );
  }
  return bytes;
}

import { PatchlineError } from '../shared/errors.js';
import { suggestionFor } from '../shared/nearest-name.js';
import { pathBetween } from '../shared/onnx/gradient.js';
import type { Network } from './network.js';

/** A feature map that class activation maps can be made of. */
export interface Layer {
  name: string;
  /** The operator that makes it. */
  op: string;
  /** (N, C, h, w) */
  dims: readonly number[];
}

/** Their results have the channels on axis 1; element-wise operators keep them there. */
const spatialOps = /Conv|Pool|BatchNormalization|InstanceNormalization|LRN|Resize|Upsample/;
/** After these an axis may mean anything. */
const rearrangingOps = new Set(['Transpose', 'Reshape']);
/** These sum a map up or pass it on: maps are made of what they take. */
const poolingOps = /Pool|^(Identity|Dropout|ReduceMean)$/;

/** All feature maps of more than one position between input and class scores, in the order of the graph. */
export function findLayers({ model, tensors, input, output }: Network): Layer[] {
  const found = new Map<string, Layer>();
  for (const node of pathBetween(model, tensors, input, output)) {
    const [name = ''] = node.output;
    const dims = tensors.get(name)?.dims ?? [];
    const [, , h = 0, w = 0] = dims;
    const continues = !rearrangingOps.has(node.opType) && node.input.some((each) => found.has(each));
    if (dims.length === 4 && h * w > 1 && (spatialOps.test(node.opType) || continues)) {
      found.set(name, { name, op: node.opType, dims });
    }
  }
  return [...found.values()];
}

/** What class activation maps are made of by default: the last feature map before its positions are pooled or flattened. */
export const defaultLayer = (layers: readonly Layer[]): Layer | undefined =>
  layers.findLast(({ op }) => !poolingOps.test(op));

/**
 * The layer of this name, any tensor (N, C, h, w) between input and scores; the default one where none is named.
 *
 * @throws ARGUMENT_INVALID
 */
export function requireLayer(network: Network, wanted?: string): Layer {
  const layers = findLayers(network);
  if (wanted === undefined) {
    const found = defaultLayer(layers);
    if (found) return found;
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected --layer, because the model has no feature map (N, C, h, w)');
  }
  const { model, tensors, input, output } = network;
  const node = pathBetween(model, tensors, input, output).find((each) => each.output.includes(wanted));
  const dims = tensors.get(wanted)?.dims;
  if (node && dims?.length === 4) return { name: wanted, op: node.opType, dims };
  const names = layers.map(({ name }) => name);
  const received = dims ? `${wanted} [${dims.join(', ')}]` : `${wanted}, which the model does not have`;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a tensor (N, C, h, w) between ${input} and ${output} for --layer but received ${received}` +
      `${suggestionFor(wanted, names)}; --list-layers prints those that there are`,
  );
}

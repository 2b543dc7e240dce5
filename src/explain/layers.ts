import { PatchlineError } from '../shared/errors.js';
import { suggestionFor } from '../shared/nearest-name.js';
import { namesReadBy } from '../shared/onnx/graph-builder.js';
import type { NodeProto } from '../shared/onnx/model.js';
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
export function findLayers(network: Network): Layer[] {
  const maps = new Set<string>();
  const layers: Layer[] = [];
  for (const { opType: op, input, output } of nodesBetween(network)) {
    const [name = ''] = output;
    const { dims = [], type } = network.tensors.get(name) ?? {};
    const [, , h = 0, w = 0] = dims;
    const continues = !rearrangingOps.has(op) && input.some((each) => maps.has(each));
    if (dims.length !== 4 || h * w <= 1 || !(spatialOps.test(op) || continues)) continue;
    maps.add(name);
    if (type?.startsWith('float')) layers.push({ name, op, dims });
  }
  return layers;
}

/** In the order of the graph; quantised networks have paths that cannot be differentiated, but layers all the same. */
export function nodesBetween({ model, input, output }: Network): NodeProto[] {
  const reached = new Set([input]);
  const following = model.graph.node.filter((node) => {
    const follows = namesReadBy(node).some((name) => reached.has(name));
    if (follows) for (const name of node.output) reached.add(name);
    return follows;
  });
  const leading = new Set([output]);
  const between = following.toReversed().filter((node) => {
    const leads = node.output.some((name) => leading.has(name));
    if (leads) for (const name of namesReadBy(node)) leading.add(name);
    return leads;
  });
  return between.reverse();
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
  const { tensors, input, output } = network;
  const node = nodesBetween(network).find((each) => each.output.includes(wanted));
  const { dims, type } = tensors.get(wanted) ?? {};
  if (node && dims?.length === 4 && type?.startsWith('float')) return { name: wanted, op: node.opType, dims };
  const names = layers.map(({ name }) => name);
  const received = dims ? `${wanted} [${dims.join(', ')}]` : `${wanted}, which the model does not have`;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a tensor (N, C, h, w) between ${input} and ${output} for --layer but received ${received}` +
      `${suggestionFor(wanted, names)}; --list-layers prints those that there are`,
  );
}

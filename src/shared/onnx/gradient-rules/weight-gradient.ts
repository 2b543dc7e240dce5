import { addReshape } from './opset-forms.js';
import type { RuleContext } from './rule.js';
import { groupOf, padsOf, type SlidingAxis } from './windows.js';

// Dimension letters: N batch, G groups, R and S channels of the narrow and of the wide side.

/**
 * The gradient (R, S / G, ...kernel) by weights that lead from `wide` (N, S, ...input) to `narrow` (N, R, ...output): `wide` is
 * convolved with `narrow`, where batch and channels change their parts, and so do strides and dilations.
 */
export function addWeightGradient(
  context: RuleContext,
  wide: string,
  narrow: string,
  axes: readonly SlidingAxis[],
): string {
  const { node, graph, dims } = context;
  const G = groupOf(context);
  const N = dims(node.input[0]!)[0]!;
  const perGroup = dims(node.input[1]!)[1]!;
  const spatial = axes.map((_, index) => index + 2);
  const unread = axes.map(({ end }) => Math.max(-end, 0));
  const read = addWithoutEnds(context, wide, unread);
  const sizes = axes.map(({ input }, index) => input - unread[index]!);
  const grouped = addReshape(context, read, [N, G, perGroup, ...sizes]);
  const exchanged = graph.add('Transpose', [grouped], { perm: [2, 1, 0, ...spatial.map((axis) => axis + 1)] });
  const images = addReshape(context, exchanged, [perGroup, G * N, ...sizes]);
  const swap = { perm: [1, 0, ...spatial] };
  const gradient = graph.add('Conv', [images, graph.add('Transpose', [narrow], swap)], {
    strides: axes.map(({ dilation }) => dilation),
    dilations: axes.map(({ stride }) => stride),
    pads: padsOf(axes),
    group: G,
  });
  return graph.add('Transpose', [gradient], swap);
}

/** A tensor (N, C, ...spatial) without so many of the last places of each spatial axis. */
function addWithoutEnds({ graph }: RuleContext, tensor: string, counts: readonly number[]): string {
  const cut = counts.flatMap((count, axis) => (count > 0 ? [{ axis: axis + 2, end: -count }] : []));
  if (cut.length === 0) return tensor;
  const [starts, ends, axes] = [cut.map(() => 0), cut.map(({ end }) => end), cut.map(({ axis }) => axis)];
  return graph.add('Slice', [tensor, ...[starts, ends, axes].map((list) => graph.integers(...list))]);
}

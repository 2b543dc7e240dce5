import type { NodeProto } from '../model.js';
import { formulasOf } from './formulas.js';
import { floatAttribute, type RuleContext } from './rule.js';

/** Whether a node goes from numbers to numbers in steps, so that its derivative is 0 wherever there is one. */
export function isStepwise(node: NodeProto): boolean {
  if (node.opType !== 'HardSigmoid') return stepwiseOps.has(node.opType);
  return Math.abs(floatAttribute({ node }, 'alpha') ?? 0) >= steepest;
}
const stepwiseOps = new Set(['Ceil', 'Floor', 'Round', 'Sign']);
const steepest = 2 ** 16;

/**
 * 1 where y is above (`sign` 1) or below (`sign` -1) a bound, else 0. For float32 it is a HardSigmoid so steep that no number
 * falls on its slope: clip(a (y - bound), 0, 1) with a power of two a >= 1 / (distance of the bound to its next number), so that
 * neither product nor sum is rounded where it matters. That is one vectorised pass, which keeps the blocked layout that onnxruntime
 * gives to convolutions; Greater, Where and what converts the layout for them took three times as long.
 *
 * @param bound a number or the name of a tensor
 */
export function addStep(context: RuleContext, y: string, sign: 1 | -1, bound: number | string): string {
  const fixed = typeof bound === 'number' ? bound : context.values(bound)?.[0];
  const slope = fixed === undefined || context.type(y) !== 'float32' ? undefined : slopeOfStep(fixed);
  if (slope !== undefined) {
    const [alpha, beta] = [sign * slope, -sign * slope * fixed!];
    return context.graph.add('HardSigmoid', [y], { alpha: { float: alpha }, beta: { float: beta } });
  }
  const { greater, less, where } = formulasOf(context);
  return where((sign > 0 ? greater : less)(y, bound), 1, 0);
}

/** At 0, 2^126 is steep enough for every number but the denormal ones; undefined for bounds whose slope would leave [2^16, 2^126]. */
function slopeOfStep(bound: number): number | undefined {
  if (bound === 0) return 2 ** 126;
  const exponent = 24 - Math.floor(Math.log2(Math.abs(bound)));
  return exponent >= 16 && exponent <= 120 ? 2 ** exponent : undefined;
}

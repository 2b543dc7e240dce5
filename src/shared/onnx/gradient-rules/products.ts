import { sumToShape } from './broadcasting.js';
import { formulasOf } from './formulas.js';
import { addReshape } from './opset-forms.js';
import { factorOf } from './rescale.js';
import { floatAttribute, type GradientRules, intAttribute, type RuleContext, unsupported } from './rule.js';

/** Products of matrices and of tensors. */
export const productRules: GradientRules = {
  Gemm: (context) => {
    const { node, graph, outputGradients, wanted, dims } = context;
    if (context.rules === 'deeplift-rescale' && wanted[0] && wanted[1]) {
      unsupported(context, 'one fixed factor', 'two that vary'); // its matrices have no axis for sample and reference
    }
    const [a, b, c] = node.input as [string, string, string | undefined];
    const g = outputGradients[0]!;
    const [transA, transB] = [intAttribute(context, 'transA') ?? 0, intAttribute(context, 'transB') ?? 0];
    const alpha = { float: floatAttribute(context, 'alpha') ?? 1 };
    const beta = floatAttribute(context, 'beta') ?? 1;
    const product = (left: string, right: string, transLeft: number, transRight: number) =>
      graph.add('Gemm', [left, right], { alpha, transA: transLeft, transB: transRight });
    const byA = () => (transA ? product(b, g, transB, 1) : product(g, b, 0, 1 - transB));
    const byB = () => (transB ? product(g, a, 1, transA) : product(a, g, 1 - transA, 0));
    const byC = () => {
      const sums = sumToShape(context, g, dims(node.output[0]!), dims(c!));
      return beta === 1 ? sums : formulasOf(context).mul(sums, beta);
    };
    return [wanted[0] ? byA() : undefined, wanted[1] ? byB() : undefined, wanted[2] ? byC() : undefined];
  },
  MatMul: (context) => {
    const { node, graph, outputGradients, wanted, dims } = context;
    const [dimsA, dimsB] = node.input.map(dims) as [number[], number[]];
    if (context.rules === 'deeplift-rescale' && wanted[0] && wanted[1] && (dimsA.length < 3 || dimsB.length < 3)) {
      unsupported(context, 'batches of matrices where both factors vary', `dims [${dimsA}] and [${dimsB}]`);
    }
    // A vector is a row on the left and a column on the right.
    const matrices = [dimsA.length === 1 ? [1, ...dimsA] : dimsA, dimsB.length === 1 ? [...dimsB, 1] : dimsB];
    const [M, K, N] = [matrices[0]!.at(-2)!, matrices[0]!.at(-1)!, matrices[1]!.at(-1)!];
    const batch = dims(node.output[0]!).slice(0, Math.max(0, Math.max(dimsA.length, dimsB.length) - 2));
    const shaped = (tensor: string, from: readonly number[], to: readonly number[]) =>
      from.length === to.length ? tensor : addReshape(context, tensor, to);
    const g = shaped(outputGradients[0]!, dims(node.output[0]!), [...batch, M, N]);
    const factor = (index: number) =>
      addTransposed(
        context,
        shaped(factorOf(context, index), dims(node.input[index]!), matrices[index]!),
        matrices[index]!.length,
      );
    const toInput = (product: string, from: readonly number[], index: number) =>
      shaped(sumToShape(context, product, from, matrices[index]!), matrices[index]!, dims(node.input[index]!));
    return [
      wanted[0] ? toInput(graph.add('MatMul', [g, factor(1)]), [...batch, M, K], 0) : undefined,
      wanted[1] ? toInput(graph.add('MatMul', [factor(0), g]), [...batch, K, N], 1) : undefined,
    ];
  },
};

/** Matrices with rows as columns. */
function addTransposed({ graph }: RuleContext, matrices: string, rank: number): string {
  const perm = Array.from({ length: rank }, (_, axis) => axis);
  return graph.add('Transpose', [matrices], { perm: [...perm.slice(0, -2), rank - 1, rank - 2] });
}

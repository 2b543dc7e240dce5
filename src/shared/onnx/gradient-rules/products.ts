import { sumToShape } from './broadcasting.js';
import { formulasOf } from './formulas.js';
import { addExpand, addReshape } from './opset-forms.js';
import { factorOf } from './rescale.js';
import {
  floatAttribute,
  type GradientRules,
  intAttribute,
  type RuleContext,
  textAttribute,
  unsupported,
} from './rule.js';

/** Products of matrices and of tensors. */
export const productRules: GradientRules = {
  Einsum: (context) => {
    const { node, graph, outputGradients, wanted, dims } = context;
    const { terms, result } = einsumTerms(context);
    return node.input.map((input, index) => {
      if (!wanted[index]) return undefined;
      const term = terms[index]!;
      const others = node.input.flatMap((_, each) => (each === index ? [] : [each]));
      const otherTerms = others.map((each) => terms[each]!);
      const present = [...term].filter((label) => [result, ...otherTerms].some((each) => each.includes(label)));
      const equation = `${[result, ...otherTerms]}->${present.join('')}`;
      const product = graph.add('Einsum', [outputGradients[0]!, ...others.map((each) => factorOf(context, each))], {
        equation,
      });
      // Axes that stand in this factor only were summed by themselves.
      const kept = dims(input).map((size, axis) => (present.includes(term[axis]!) ? size : 1));
      return present.length === term.length
        ? product
        : addExpand(context, addReshape(context, product, kept), dims(input));
    });
  },
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

/** The labels of the axes of each factor and of the result. */
function einsumTerms(context: RuleContext): { terms: string[]; result: string } {
  const equation = textAttribute(context, 'equation')!.replaceAll(' ', '');
  const [left, right] = equation.split('->') as [string, string | undefined];
  const terms = left.split(',');
  const labels = [...terms.join('')].sort();
  const result = right ?? labels.filter((label) => labels.indexOf(label) === labels.lastIndexOf(label)).join('');
  if (equation.includes('.')) unsupported(context, 'an equation without ...', equation);
  if (terms.some((term) => new Set(term).size < term.length)) {
    unsupported(context, 'an equation without diagonals', equation);
  }
  const varying = context.wanted.filter(Boolean).length;
  const isPaired = terms.length === 2 && new Set([...terms, result].map((term) => term[0])).size === 1;
  if (context.rules === 'deeplift-rescale' && varying > 1 && !isPaired) {
    unsupported(context, 'two factors whose first axis is that of samples and references', equation);
  }
  return { terms, result };
}

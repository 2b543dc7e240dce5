import type { RuleContext } from './rule.js';

/** The name of a tensor, or a number that becomes a constant without axes. */
export type Operand = string | number;

const unaryOps = {
  abs: 'Abs',
  cos: 'Cos',
  erf: 'Erf',
  exp: 'Exp',
  log: 'Log',
  neg: 'Neg',
  reciprocal: 'Reciprocal',
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  sign: 'Sign',
  sin: 'Sin',
  softplus: 'Softplus',
  sqrt: 'Sqrt',
  tanh: 'Tanh',
} as const;

const binaryOps = {
  add: 'Add',
  and: 'And',
  div: 'Div',
  equal: 'Equal',
  greater: 'Greater',
  less: 'Less',
  max: 'Max',
  min: 'Min',
  mul: 'Mul',
  pow: 'Pow',
  sub: 'Sub',
} as const;

/** Nodes written as calls, so that a rule reads like its formula. */
export type Formulas = Record<keyof typeof unaryOps, (a: Operand) => string> &
  Record<keyof typeof binaryOps, (a: Operand, b: Operand) => string> & {
    where(condition: string, a: Operand, b: Operand): string;
  };

/** @param like a traced tensor, by default the first output of the node: numbers become constants of its element type */
export function formulasOf(
  { graph, scalar, node }: Pick<RuleContext, 'graph' | 'scalar' | 'node'>,
  like = node.output[0]!,
): Formulas {
  const call =
    (op: string) =>
    (...operands: Operand[]) =>
      graph.add(
        op,
        operands.map((each) => (typeof each === 'number' ? scalar(each, like) : each)),
      );
  const calls = Object.entries({ ...unaryOps, ...binaryOps, where: 'Where' }).map(([name, op]) => [name, call(op)]);
  return Object.fromEntries(calls);
}

/** The parts of ml-cart that trees are grown with; the package brings no types. */
declare module 'ml-cart' {
  import type { Matrix } from 'ml-matrix';

  export interface CartNode {
    /** Rows below `splitValue` in `splitColumn` go to the left; a leaf has no children. */
    splitColumn?: number;
    splitValue?: number;
    left?: CartNode;
    right?: CartNode;
    train(rows: Matrix, targets: number[], depth: number, parentGain: number | null): void;
  }

  export interface CartOptions {
    minNumSamples: number;
    gainThreshold: number;
  }

  export class DecisionTreeClassifier {
    constructor(options: CartOptions);
    root: CartNode;
    train(rows: Matrix, targets: number[]): void;
  }

  export class DecisionTreeRegression {
    static load(model: {
      name: 'DTRegression';
      options: object;
      root: { distribution: number };
    }): DecisionTreeRegression;
    root: CartNode;
  }
}

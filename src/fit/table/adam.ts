/** Weights that follow their gradients. */
export interface Adam {
  readonly weights: Float32Array<ArrayBuffer>[];
  /** @param gradients one for each array of weights, of its length */
  step(gradients: readonly Float32Array[]): void;
}

export interface AdamOptions {
  learningRate: number;
  /** Shrinks weights by this share of the learning rate in each step. */
  weightDecay: number;
}

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** AdamW: Kingma and Ba 2015, algorithm 1, with decoupled weight decay (Loshchilov and Hutter 2019). Starts from a copy of `initial`. */
export function createAdam(initial: readonly Float32Array[], { learningRate, weightDecay }: AdamOptions): Adam {
  const weights = initial.map((values) => Float32Array.from(values));
  const means = weights.map((values) => new Float64Array(values.length));
  const squares = weights.map((values) => new Float64Array(values.length));
  let [power1, power2] = [1, 1];
  return {
    weights,
    step(gradients) {
      power1 *= beta1;
      power2 *= beta2;
      for (const [part, values] of weights.entries()) {
        const [m, v, gradient] = [means[part]!, squares[part]!, gradients[part]!];
        for (let i = 0; i < values.length; i++) {
          const g = gradient[i]!;
          m[i] = beta1 * m[i]! + (1 - beta1) * g;
          v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
          const ratio = m[i]! / (1 - power1) / (Math.sqrt(v[i]! / (1 - power2)) + epsilon);
          values[i] = values[i]! - learningRate * (ratio + weightDecay * values[i]!);
        }
      }
    },
  };
}

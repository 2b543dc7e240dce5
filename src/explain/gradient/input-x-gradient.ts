/**
 * Input × gradient: x · dS / dx, element by element. Its sum is S for a network that is piecewise linear and has no biases.
 * (Shrikumar et al., arXiv:1605.01713, section 1.)
 *
 * @returns of the shape of x, signed
 */
export const inputTimesGradient = (x: Float32Array, gradient: Float32Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(x, (value, i) => value * gradient[i]!);

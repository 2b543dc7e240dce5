import { testGradients } from '../../../helpers/gradient-cases.js';

const spread = (uniform: number) => 3 * uniform;

for (const op of ['LogSoftmax', 'Softmax']) {
  for (const axis of [undefined, 0, 1, -1]) {
    testGradients(`${op}, axis ${axis}`, {
      compose: (graph, inputs) => graph.add(op, inputs, axis === undefined ? {} : { axis }),
      dims: [[2, 3, 2]],
      value: spread,
    });
  }
}

import { elementTypes } from '../../../../src/shared/onnx/model.js';
import { testGradients } from '../../../helpers/gradient-cases.js';

testGradients('Cast to float64 and back', {
  compose: (graph, [x]) => {
    const double = graph.add('Cast', [x!], { to: elementTypes.float64 });
    return graph.add('Cast', [graph.add('Exp', [double])], { to: elementTypes.float32 });
  },
  dims: [[2, 3]],
});
for (const axis of [0, 1, -1]) {
  testGradients(`Concat, axis ${axis}`, {
    compose: (graph, [a, b]) => graph.add('Concat', [a!, graph.constant(new Float32Array(6), [2, 3]), b!], { axis }),
    dims:
      axis === 0
        ? [
            [1, 3],
            [2, 3],
          ]
        : [
            [2, 1],
            [2, 2],
          ],
  });
}
for (const [exclusive, reverse] of [
  [0, 0],
  [1, 0],
  [0, 1],
  [1, 1],
] as const) {
  testGradients(`CumSum, exclusive ${exclusive}, reverse ${reverse}`, {
    compose: (graph, [x]) =>
      graph.add('CumSum', [x!, graph.constant(BigInt64Array.of(-1n), [])], { exclusive, reverse }),
    dims: [[2, 4]],
  });
}
testGradients('Dropout', { compose: (graph, inputs) => graph.add('Dropout', inputs), dims: [[2, 3]] });
testGradients('Dropout with training_mode 0', {
  compose: (graph, [x]) => {
    const no = { name: 'no', dims: [], dataType: elementTypes.bool, rawData: Uint8Array.of(0) };
    graph.include({ node: [], initializer: [no], input: [], output: [] }, {});
    return graph.add('Dropout', [x!, graph.scalar(0.5), 'no']);
  },
  dims: [[2, 3]],
  opsets: [12, 21],
});

for (const dims of [[2, 3], [3, 1], [1], []]) {
  testGradients(`Expand of [${dims}]`, {
    compose: (graph, [x]) => graph.add('Expand', [x!, graph.integers(2, 2, 3, 1)]),
    dims: [dims.length === 2 && dims[1] === 3 ? [2, 3, 1] : dims],
  });
}
testGradients('Flatten', { compose: (graph, inputs) => graph.add('Flatten', inputs, { axis: 2 }), dims: [[2, 1, 3]] });
testGradients('Identity', { compose: (graph, inputs) => graph.add('Identity', inputs), dims: [[2, 3]] });
testGradients('Reshape', {
  compose: (graph, [x]) => graph.add('Reshape', [x!, graph.integers(3, 0, -1)]),
  dims: [[2, 2, 3]],
});
testGradients('Split into equal parts, of which one is used', {
  compose: (graph, inputs) => graph.addMulti('Split', inputs, { axis: 1 }, 3)[1]!,
  dims: [[2, 6]],
  opsets: [11, 13],
});
testGradients('Split by sizes', {
  compose: (graph, [x], opset) => {
    const parts =
      opset < 13
        ? graph.addMulti('Split', [x!], { axis: -1, split: [1, 3, 2] }, 3)
        : graph.addMulti('Split', [x!, graph.integers(1, 3, 2)], { axis: -1 }, 3);
    return graph.add('Concat', [parts[2]!, parts[1]!], { axis: 1 });
  },
  dims: [[2, 6]],
});
testGradients('Split into num_outputs, the last one smaller', {
  compose: (graph, inputs) => graph.addMulti('Split', inputs, { axis: 1, num_outputs: 3 }, 3)[2]!,
  dims: [[2, 8]],
  opsets: [18, 21],
});
for (const axes of [[0], [-2], [0, 2]]) {
  testGradients(`Squeeze ${axes}`, {
    compose: (graph, [x], opset) =>
      opset < 13 ? graph.add('Squeeze', [x!], { axes }) : graph.add('Squeeze', [x!, graph.integers(...axes)]),
    dims: [[1, 3, 1, 2]],
  });
  testGradients(`Unsqueeze ${axes}`, {
    compose: (graph, [x], opset) =>
      opset < 13 ? graph.add('Unsqueeze', [x!], { axes }) : graph.add('Unsqueeze', [x!, graph.integers(...axes)]),
    dims: [[3, 2]],
  });
}
testGradients('Tile', { compose: (graph, [x]) => graph.add('Tile', [x!, graph.integers(2, 1, 3)]), dims: [[2, 3, 2]] });
for (const perm of [undefined, [1, 2, 0], [0, 2, 1]]) {
  testGradients(`Transpose ${perm}`, {
    compose: (graph, inputs) => graph.add('Transpose', inputs, perm ? { perm } : {}),
    dims: [[2, 3, 2]],
  });
}
for (const upper of [0, 1]) {
  for (const k of [undefined, -1, 1]) {
    testGradients(`Trilu, upper ${upper}, k ${k}`, {
      compose: (graph, [x]) =>
        graph.add('Trilu', k === undefined ? [x!] : [x!, graph.constant(BigInt64Array.of(BigInt(k)), [])], { upper }),
      dims: [[2, 3, 4]],
      opsets: [14, 21],
    });
  }
}
testGradients('Where', {
  compose: (graph, [a, b]) => {
    const condition = graph.add('Greater', [graph.constant(Float32Array.of(1, -1, 1), [3]), graph.scalar(0)]);
    return graph.add('Where', [condition, a!, b!]);
  },
  dims: [
    [2, 3],
    [2, 1],
  ],
});

import { testGradients } from '../../../helpers/gradient-cases.js';

const slices = [
  { starts: [1], ends: [3], axes: [1], steps: [1] },
  { starts: [-4], ends: [-1], axes: [-1], steps: [1] },
  { starts: [0], ends: [9], axes: [1], steps: [2] },
  { starts: [1], ends: [9], axes: [1], steps: [3] },
  { starts: [-1], ends: [-9], axes: [1], steps: [-1] },
  { starts: [5], ends: [0], axes: [1], steps: [-2] },
  { starts: [9, 1], ends: [-9, 3], axes: [1, 0], steps: [-3, 1] },
  { starts: [0, 1], ends: [3, 7], axes: undefined, steps: [2, 2] },
  { starts: [1, 0], ends: [2, 2], axes: undefined, steps: undefined },
];
for (const { starts, ends, axes, steps } of slices) {
  testGradients(`Slice from ${starts} to ${ends} along ${axes} by ${steps}`, {
    compose: (graph, [x]) => {
      const optional = (values: number[] | undefined) => (values ? graph.integers(...values) : '');
      const inputs = [x!, graph.integers(...starts), graph.integers(...ends), optional(axes), optional(steps)];
      return graph.add('Slice', inputs);
    },
    dims: [[3, 7]],
    opsets: [11, 21],
  });
}

const pads = [
  { pads: [1, 0, 2, 3], modes: ['constant', 'edge', 'reflect'] },
  { pads: [0, 2, 0, 1], modes: ['constant', 'edge', 'reflect'] },
  { pads: [-1, 1, 0, -2], modes: ['constant', 'edge', 'reflect'] },
  { pads: [0, 0, 0, 0], modes: ['constant', 'edge', 'reflect'] },
];
for (const { pads: counts, modes } of pads) {
  for (const mode of modes) {
    testGradients(`Pad by ${counts}, mode ${mode}`, {
      compose: (graph, [x]) => graph.add('Pad', [x!, graph.integers(...counts)], { mode }),
      dims: [[3, 4]],
      opsets: [11, 21],
    });
  }
}
testGradients('Pad by 2,1, mode wrap', {
  compose: (graph, [x]) => graph.add('Pad', [x!, graph.integers(0, 2, 0, 1)], { mode: 'wrap' }),
  dims: [[3, 4]],
  opsets: [19, 21],
});
testGradients('Pad along one axis with a value', {
  compose: (graph, [x]) => graph.add('Pad', [x!, graph.integers(2, 1), graph.scalar(0.5), graph.integers(-2)]),
  dims: [[3, 4]],
  opsets: [18, 21],
});
testGradients('Pad of images by copies', {
  compose: (graph, [x]) => graph.add('Pad', [x!, graph.integers(0, 0, 1, 2, 0, 0, 2, 1)], { mode: 'reflect' }),
  dims: [[1, 2, 3, 4]],
});

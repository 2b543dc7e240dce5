import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import type { RuleContext } from '../../../../src/shared/onnx/gradient-rules/rule.js';
import { addStep, isStepwise } from '../../../../src/shared/onnx/gradient-rules/steps.js';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { writeModel } from '../../../../src/shared/onnx/model.js';
import { createSession } from '../../../../src/shared/onnx/session.js';
import { traceTensors } from '../../../../src/shared/onnx/traced-tensors.js';
import { expectClose } from '../../../helpers/arrays.js';

/** The float32 numbers next to a number, from the second below to the second above. */
function neighboursOf(value: number): number[] {
  const bits = new Int32Array(1);
  const float = new Float32Array(bits.buffer);
  const away = (count: number) => {
    float[0] = value;
    bits[0]! += value < 0 ? -count : count;
    return float[0];
  };
  return [-2, -1, 0, 1, 2].map(away);
}

async function stepsOf(values: number[], sign: 1 | -1, bound: number) {
  const graph = createGraphBuilder();
  const y = graph.input('y', 'float32', [values.length]);
  const context = { graph, type: () => 'float32', node: { output: [y] } } as unknown as RuleContext;
  graph.output('steps', addStep(context, y, sign, bound));
  const model = graph.build();
  const session = await createSession(writeModel(model));
  const { steps } = await session.run({ y: new Tensor('float32', Float32Array.from(values), [values.length]) });
  await session.release();
  return { steps: steps!.data as Float32Array, node: model.graph.node[0]! };
}

const smallestNormal = 2 ** -126;
const around0 = [-1e38, -3, -smallestNormal, -0, 0, smallestNormal, 1e-30, 6, 1e38, Number.POSITIVE_INFINITY];

for (const bound of [0, 6, 1, -1, 0.3, -2.5, 4, 127.5, 1e-12, 255.99]) {
  for (const sign of [1, -1] as const) {
    test(`a step ${sign > 0 ? 'above' : 'below'} ${bound} is exact at the next numbers`, async () => {
      const float = Math.fround(bound);
      const values = [...around0, ...(bound === 0 ? [] : neighboursOf(float))];
      const { steps, node } = await stepsOf(values, sign, bound === 0 ? 0 : float);
      expectClose(
        steps,
        values.map((each) => ((sign > 0 ? each > float : each < float) ? 1 : 0)),
        { atol: 0 },
      );
      expect(isStepwise(node)).toBe(true);
    });
  }
}

test('a HardSigmoid of a network has a slope', () => {
  const graph = createGraphBuilder();
  graph.output('y', graph.add('HardSigmoid', [graph.input('x', 'float32', [1])], { alpha: { float: 0.2 } }));
  expect(isStepwise(graph.build().graph.node[0]!)).toBe(false);
});

test('bounds too large for a slope are compared', async () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [3]);
  const y = graph.add('Clip', [x, graph.scalar(-1000), graph.scalar(3e38)]);
  graph.output('y', y);
  const feeds = { x: new Tensor('float32', Float32Array.of(-2000, 0, 2000), [3]) };
  const tensors = await traceTensors(graph.build(), feeds);
  const context = {
    graph,
    type: () => 'float32',
    scalar: (value: number) => graph.scalar(value),
    values: (name: string) => tensors.get(name)?.values?.(),
    node: { output: [y] },
  } as unknown as RuleContext;
  graph.output('steps', addStep(context, y, 1, graph.scalar(-1000)));
  const session = await createSession(writeModel(graph.build()));
  const { steps } = await session.run(feeds);
  await session.release();
  expectClose(steps!.data as Float32Array, [0, 1, 1], { atol: 0 });
});

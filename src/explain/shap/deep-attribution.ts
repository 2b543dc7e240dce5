import { createGraphBuilder, type GraphBuilder } from '../../shared/onnx/graph-builder.js';
import { elementTypes, type ModelProto } from '../../shared/onnx/model.js';
import { runGraph } from '../../shared/onnx/run-graph.js';
import { type Attribution, meanRow, outputsOf, pickOutputs, type Question, requireBackground } from './attribution.js';
import { deepShap } from './deep-shap.js';
import { explainedTensor } from './model-attribution.js';
import { inconsistencyHint, pairNetwork } from './paired-network.js';
import { createRowRunner, type TabularInput, type TabularModel, withOutputs } from './tabular-model.js';

// n rows, m background rows, D features, K outputs.

export interface DeepModel {
  explain(): Promise<Attribution>;
  /** Whether DeepLIFT can pass differences on through all of it. */
  isCovered: boolean;
  /** What to say where the values do not add up. */
  hint: string;
}

/**
 * Deep SHAP of the rows of a network, in batches of pairs of row and background row; each explained output takes a run of its own.
 *
 * @throws ARGUMENT_INVALID without a background, OP_NOT_SUPPORTED naming nodes that have no rule, GRADIENT_UNREACHABLE,
 *   MODEL_INPUT_MISMATCH where the network cannot take rows side by side
 */
export async function prepareDeep(model: TabularModel, question: Question): Promise<DeepModel> {
  const background = requireBackground(question, 'deep');
  const { D } = model;
  const n = question.rows.length / D;
  const { tensor, scale } = explainedTensor(model, question.scale);
  const paired = await pairNetwork(withOneInput(model, tensor), [D], scores, n * (background.length / D), runGraph);
  const { K } = paired;

  async function explain(): Promise<Attribution> {
    const runner = await createRowRunner(withOutputs(model.proto, [tensor]), model.inputs);
    const predict = async (values: Float64Array) => (await runner.run(values))[tensor]!;
    try {
      const wanted = outputsOf(question, K);
      const values = new Float64Array(n * D * wanted.length);
      const [samples, references] = [Float32Array.from(question.rows), Float32Array.from(background)];
      const tell = rowCounter(question);
      for (const [place, k] of wanted.entries()) {
        const report = (done: number, total: number) => tell(n * ((place + done / total) / wanted.length));
        const ofOutput = await deepShap(paired, samples, references, new Array<number>(n).fill(k), report);
        for (let i = 0; i < ofOutput.length; i++) values[i * wanted.length + place] = ofOutput[i]!;
      }
      const predictions = pickOutputs(await predict(question.rows), K, wanted);
      const expected = pickOutputs(meanRow(await predict(background), K), K, wanted);
      return { scale, K: wanted.length, values, expected, predictions };
    } finally {
      await runner.close();
    }
  }
  return { explain, isCovered: paired.outsideTheorem.length === 0, hint: inconsistencyHint(paired) };
}

/** Tells of whole rows, where pairs and outputs are done in parts of rows. */
function rowCounter({ onRows }: Question): (rows: number) => void {
  let told = 0;
  return (rows) => {
    const whole = Math.floor(rows + 1e-9);
    if (whole > told) onRows?.(whole - told);
    told = whole;
  };
}

// Names that no model has for its own tensors.
const rows = 'patchline.rows';
const scores = 'patchline.outputs';

/** The model from rows (N, D), whatever its inputs are, to one tensor as (N, K). */
function withOneInput({ proto, inputs, D }: TabularModel, tensor: string): ModelProto {
  const { graph } = proto;
  const own = new Set(graph.node);
  const builder = createGraphBuilder({ base: { ...proto, graph: { ...graph, input: [], valueInfo: [] } } });
  builder.input(rows, 'float32', ['N', D]);
  for (const input of inputs) addColumns(builder, input, inputs.length > 1);
  builder.output(builder.add('Flatten', [tensor], { axis: 1 }, scores));
  const built = builder.build();
  const added = built.graph.node.filter((node) => !own.has(node));
  // What makes the inputs was added behind the nodes that take them.
  const node = [...added.slice(0, -1), ...built.graph.node.filter((each) => own.has(each)), ...added.slice(-1)];
  return { ...built, graph: { ...built.graph, node, output: [{ name: scores }] } };
}

/** An input of the model as what its columns of the rows make it. */
function addColumns(builder: GraphBuilder, { name, type, axes, width, offset }: TabularInput, isPart: boolean): void {
  const [from, to, along] = [offset, offset + width, 1].map((each) => builder.integers(each)) as [
    string,
    string,
    string,
  ];
  const columns = isPart ? builder.add('Slice', [rows, from, to, along]) : rows;
  const shaped = builder.add('Reshape', [columns, builder.integers(-1, ...axes)]);
  builder.output(builder.add('Cast', [shaped], { to: elementTypes[type] }, name), name, type); // so that it is kept
}

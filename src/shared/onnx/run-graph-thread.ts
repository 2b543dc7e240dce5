import { inThread } from '../compute.js';
import { type FloatTensors, type RunGraphInput, runGraph } from './run-graph.js';

export default inThread<RunGraphInput, FloatTensors>(({ model, feeds }) => runGraph(model, feeds));

import { inThread } from '../../shared/compute.js';
import { type MlpTraining, trainMlp } from './mlp.js';
import type { Mlp } from './mlp-graph.js';

export default inThread<MlpTraining, Mlp>(trainMlp);

import type { ImageInput } from '../shared/onnx/image-input.js';
import type { PackedModel } from '../shared/onnx/packed-model.js';

/** A good/defect classifier that can be explained: the bundle's, or the product's own. */
export interface ExplainedClassifier {
  /** Its outputs are `scores` and, where it is explained in closed form, `layer`. */
  model: PackedModel;
  input: ImageInput;
  /** The tensor that class activation maps are made of. */
  layer: string;
  /** (N, K), before any activation. */
  scores: string;
  /** K: one score alone stands for two classes. */
  classes: number;
  /** Index of the class that means a defect. */
  defect: number;
  /** How scores become probabilities; one score alone: softmax of (0, score). */
  activation: 'softmax' | 'sigmoid';
}

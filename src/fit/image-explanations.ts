import type { PixelStatistics } from '../explain/faithfulness/pixel-statistics.js';
import type { ScoringBundle } from '../shared/loaded-bundle.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import type { ExplainedClassifier } from './explained-classifier.js';

// H, W: the bundle's input.

/** What explains no classifier, but is looked at beside what does. */
export const anomalyMapName = 'anomaly-map';
/** A map drawn by lot: what every figure of an explanation has to beat. */
export const randomName = 'random';

/** A defective image, and what is judged on it. */
export interface ExplanationsTask {
  bytes: Uint8Array;
  scoring: ScoringBundle;
  /** (H, W) */
  anomalyMap: Float32Array;
  /** (H, W), 1 on the defect */
  mask?: Uint8Array | undefined;
  classifier: ExplainedClassifier;
  /** Names of methods of `explain`, and those above. */
  methods: readonly string[];
  /** Of good images as the classifier is fed. */
  statistics: PixelStatistics;
  /** Some of these, which deep-shap compares with. */
  background: FloatTensor;
  seed: number;
  maxImageBytes: number;
}

/** Of one image. */
export interface JudgedExplanations {
  /** Of a defect, by the classifier. */
  probability: number;
  /** Part of the pixels that the mask marks. */
  maskShare: number | null;
  methods: Record<string, JudgedExplanation>;
}

export interface JudgedExplanation {
  /** As it is shown, (H, W), 0 .. 1 but for the anomaly map. */
  map: Float32Array;
  figures: ExplanationFigures;
}

/** Figures of one explanation of one image; null where there is no mask, or for what the figure is not measured. */
export interface ExplanationFigures {
  energyInMask: number | null;
  /** 1 where the hottest place lies on the mask, else 0. */
  pointingGame: number | null;
  /** Mean probabilities of a defect. */
  deletion: number;
  insertion: number;
  flipping: number;
  /** What remains of the probability when the coldest pixels are imputed, less what remains when the hottest are. */
  road: number;
  /** The same of the severity of the anomaly score, for the anomaly map and at random. */
  severityRoad: number | null;
}

import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import type { PixelStatistics } from '../explain/faithfulness/pixel-statistics.js';
import type { ScoringBundle } from '../shared/loaded-bundle.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';

// H, W: the bundle's input.

/** What explains no classifier, but is looked at beside what does. */
export const anomalyMapName = 'anomaly-map';
/**
 * Maps drawn by lot, pixel by pixel and as smooth as a class activation map: what an explanation has to beat.
 */
export const drawnMaps = ['random-pixels', 'random-regions'] as const;
export type DrawnMap = (typeof drawnMaps)[number];
export const isDrawn = (name: string): name is DrawnMap => drawnMaps.includes(name as DrawnMap);

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
  /** A good image, (H, W, 3) RGB: deleted pixels become those of it, and inserted ones come into it. */
  goodPixels: Uint8Array;
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
  /** 1 where the hottest place lies on the mask or at most 15 pixels beside it, else 0. */
  pointingGame: number | null;
  /** Mean probabilities of a defect. */
  deletion: number;
  insertion: number;
  flipping: number;
  /** What remains of the probability when the coldest pixels are imputed, less what remains when the hottest are. */
  road: number;
  /** Deletion with the severity of the anomaly score in place of the probability: of the anomaly map, and of drawn maps. */
  severityDeletion: number | null;
}

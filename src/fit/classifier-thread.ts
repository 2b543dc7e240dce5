import { inThread } from '../shared/compute.js';
import { crossValidatedAuroc, logisticLearner } from '../shared/kernels/cross-validation.js';
import { fitLogisticRegression, rawCoefficients } from '../shared/kernels/logistic-regression.js';
import type { DefectSamples } from './defect-samples.js';

export interface ClassifierInput extends Pick<DefectSamples, 'embeddings' | 'labels' | 'groups'> {
  folds: number;
  seed: number;
  ridge: number;
}

export interface ClassifierOutput {
  /** (1280) */
  weights: Float64Array;
  bias: number;
  /** Held-out. */
  auroc: number;
  ridge: number;
}

/** Fits the classifier head with one ridge, and once more for each fold to see how it does on what it has not seen. */
export default inThread<ClassifierInput, ClassifierOutput>(async ({ embeddings, labels, ridge, ...validation }) => {
  const auroc = crossValidatedAuroc(embeddings, labels, { ...validation, learn: logisticLearner({ ridge }) });
  return { ...rawCoefficients(fitLogisticRegression(embeddings, labels, { ridge })), auroc, ridge };
});

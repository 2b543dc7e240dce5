import { type Compute, threadTask } from '../shared/compute.js';
import type { ClassifierInput, ClassifierOutput } from './classifier-thread.js';
import { type DefectSamples, validationFolds } from './defect-samples.js';

const classifierTask = threadTask<ClassifierInput, ClassifierOutput>(
  new URL('./classifier-thread.js', import.meta.url),
);

/** Ascending: the smallest takes longest. */
export const classifierRidges = [0.1, 1];
/** Held-out AUROC below which a model's explanations are to be taken with care. */
export const weakAuroc = 0.8;

export interface ClassifierOptions {
  seed: number;
  compute: Compute;
  onFitted(): void;
}

/**
 * The good/defect classifier: logistic regression of the embedding, with the ridge that does best in cross-validation. Images
 * made from one training image share a fold.
 */
export async function learnClassifier(
  { embeddings, labels, groups }: DefectSamples,
  { seed, compute, onFitted }: ClassifierOptions,
): Promise<ClassifierOutput> {
  const fit = async (ridge: number) => {
    const task = { embeddings, labels, groups, folds: validationFolds, seed, ridge };
    const fitted = await compute.run(classifierTask, task);
    onFitted();
    return fitted;
  };
  const fitted = await Promise.all(classifierRidges.map(fit));
  return fitted.reduce((best, next) => (next.auroc >= best.auroc ? next : best)); // of equals the one held back most
}

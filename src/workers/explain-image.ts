import type { Explanation, ScoredInspection } from '../shared/contracts.js';
import { codeOf, messageOf } from '../shared/errors.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import { type ChildOutcomes, withoutProcess } from './child-outcomes.js';
import { extractFeatures } from './features.js';
import { type ClassifierContext, drawGradcam } from './gradcam.js';
import { attributeProcess, type TableModel } from './process-attribution.js';
import { explainRisk } from './shap.js';

export interface ExplainContext extends ClassifierContext {
  /** Products that have a model of process data: `loadTables`. */
  tables: ReadonlyMap<string, TableModel>;
}

export interface ExplainedImage {
  outcomes: ChildOutcomes;
  /** gradcam.npy, where it could be made. */
  gradcamMap?: Uint8Array;
}

const done: Explanation = { status: 'done' };
const failed = (error: unknown): Explanation => ({ status: 'failed', code: codeOf(error), message: messageOf(error) });

/**
 * All explanations of a scored image in this process: what the explaining pools do for an image from the queue.
 *
 * @param work the work object, .npz; it is empty afterwards
 * @param key where the caller puts the Grad-CAM++ map
 */
export async function explainImage(
  { scored, process }: Pick<ScoredInspection, 'scored' | 'process'>,
  work: Uint8Array,
  key: string,
  bundle: LoadedBundle,
  context: ExplainContext,
): Promise<ExplainedImage> {
  const [map, row] = await Promise.allSettled([
    drawGradcam(work.slice(), bundle.bundle.product, async () => bundle.classifier, context),
    extractFeatures(work, scored.patchDistance, context.compute),
  ]);
  const explanations: ChildOutcomes['explanations'] = { gradcam: done, features: done, shap: done };
  const explained: ExplainedImage = { outcomes: { explanations } };
  if (map.status === 'fulfilled') {
    explained.gradcamMap = map.value.map;
    explained.outcomes.gradcam = { key, classifier: map.value.classifier };
  } else explanations.gradcam = failed(map.reason);

  const table = context.tables.get(bundle.bundle.product);
  if (row.status === 'rejected') {
    explanations.features = failed(row.reason);
    explanations.shap = { status: 'skipped', code: 'FEATURES_FAILED', message: messageOf(row.reason) };
  } else {
    const { values: features } = row.value;
    try {
      const attributed = table && (await attributeProcess(table, { ...scored, process, features }, context.compute));
      explained.outcomes.shap = { risk: explainRisk(bundle.risk, features, scored.verdict), ...attributed };
    } catch (error) {
      explanations.shap = failed(error);
    }
  }
  if (table) explanations.process = explained.outcomes.shap?.process ?? withoutProcess(explanations.shap);
  return explained;
}

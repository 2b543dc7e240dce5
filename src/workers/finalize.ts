import type { InspectionEvent, ScoredInspection, ScoredResult, Warning } from '../shared/contracts.js';
import { anomalyMapKey, overlayKey, resultKey, workKey } from '../shared/keys.js';
import { eventOf, readResult } from '../shared/results.js';
import { type ObjectStore, putJson } from '../shared/store/object-store.js';
import type { ChildOutcomes } from './child-outcomes.js';
import type { FindSimilar, FoundSimilar } from './similar-lookup.js';

export interface FinalizeContext {
  store: ObjectStore;
  childOutcomes(): Promise<ChildOutcomes>;
  publishResult(event: InspectionEvent): Promise<void>;
  /** Of an explained image; where history is kept. */
  findSimilar?: FindSimilar;
  /** Draws all pictures of an explained image; where they are asked for. */
  storePictures?(result: ScoredResult): Promise<Warning[]>;
}

/**
 * The result of a scored inspection: `incomplete` where an explanation failed or was skipped.
 *
 * @param outcomes how the explaining stages ended; undefined for an image whose policy asks for no explanation.
 */
export function joinResult(
  { scored, policy, priority, ...identity }: ScoredInspection,
  outcomes: ChildOutcomes | undefined,
): ScoredResult {
  const { patchDistance: _, ...shown } = scored;
  const result = { schema: 1 as const, ...identity, finishedAt: new Date().toISOString(), ...shown };
  if (!outcomes) return { ...result, status: 'done' };
  const { gradcam, shap, explanations } = outcomes;
  const { inspectionId } = identity;
  const joined = {
    ...result,
    ...(shap && { risk: shap.risk }),
    ...(shap?.attribution && { attribution: shap.attribution }),
    ...(gradcam && { classifier: gradcam.classifier }),
    explanations: { ...explanations, ...(gradcam && { gradcam: { ...explanations.gradcam, key: gradcam.key } }) },
    artefacts: {
      overlay: overlayKey(inspectionId),
      anomalyMap: anomalyMapKey(inspectionId),
      ...(gradcam && { gradcam: gradcam.key }),
    },
  };
  // An image without process data lacks nothing that a second run could find.
  const complete = Object.entries(explanations).every(
    ([name, { status }]) => status === 'done' || (name === 'process' && status === 'skipped'),
  );
  return complete ? { ...joined, status: 'done' } : { ...joined, status: 'incomplete', policy, priority };
}

/** Whether the policy asks for explanations of this image. */
export const isExplained = ({ policy, scored }: ScoredInspection): boolean =>
  policy === 'all' || scored.verdict === 'anomalous';

/** Adds the similar inspections to a result, or the warning that history could not tell. */
export function addSimilar(result: ScoredResult, { similar, warning }: FoundSimilar): void {
  if (similar) result.similar = similar;
  if (warning) result.warnings = [...result.warnings, warning];
}

/**
 * Joins what the stages found into result.json, tells it and deletes the work object: in this order, so that a run that
 * dies in between leaves work that the next run does again. A result never gets worse.
 */
export async function finalize(
  data: ScoredInspection,
  { store, childOutcomes, publishResult, findSimilar, storePictures }: FinalizeContext,
): Promise<{ status: 'done' | 'incomplete' }> {
  const explained = isExplained(data);
  const result = joinResult(data, explained ? await childOutcomes() : undefined);
  const { inspectionId } = data;
  if (result.status === 'incomplete' && (await readResult(store, inspectionId))?.status === 'done') {
    return { status: 'done' };
  }
  if (explained && findSimilar) addSimilar(result, await findSimilar(data));
  if (explained && storePictures) result.warnings = [...result.warnings, ...(await storePictures(result))];
  await putJson(store, resultKey(inspectionId), result);
  await publishResult(eventOf(data, { status: result.status, scored: data.scored }));
  if (explained && result.status === 'done') await store.delete(workKey(inspectionId));
  return { status: result.status };
}

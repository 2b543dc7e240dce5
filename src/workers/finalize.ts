import {
  type ExplainingStage,
  type Explanation,
  explainingStages,
  type InspectionEvent,
  type ScoredInspection,
  type ScoredResult,
} from '../shared/contracts.js';
import { errorCodes } from '../shared/errors.js';
import { anomalyMapKey, overlayKey, resultKey, workKey } from '../shared/keys.js';
import { eventOf, readResult } from '../shared/results.js';
import { type ObjectStore, putJson } from '../shared/store/object-store.js';
import type { ChildOutcomes } from './child-outcomes.js';

export interface FinalizeContext {
  store: ObjectStore;
  childOutcomes(): Promise<ChildOutcomes>;
  publishResult(event: InspectionEvent): Promise<void>;
}

const notAvailable: Explanation = { status: 'skipped', code: 'NOT_AVAILABLE', message: errorCodes.NOT_AVAILABLE };

const isMissing = ({ status, code }: Explanation) => status !== 'done' && code !== 'NOT_AVAILABLE';

/**
 * The result of a scored inspection: `incomplete` where an explanation failed or was skipped for a reason.
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
  const explanations = Object.fromEntries(
    explainingStages.map((stage) => [stage, outcomes[stage] ?? notAvailable]),
  ) as Record<ExplainingStage, Explanation>;
  const { inspectionId } = identity;
  const artefacts = { overlay: overlayKey(inspectionId), anomalyMap: anomalyMapKey(inspectionId) };
  const incomplete = Object.values(explanations).some(isMissing);
  return incomplete
    ? { ...result, status: 'incomplete', explanations, artefacts, policy, priority }
    : { ...result, status: 'done', explanations, artefacts };
}

/** Whether the policy asks for explanations of this image. */
export const isExplained = ({ policy, scored }: ScoredInspection): boolean =>
  policy === 'all' || scored.verdict === 'anomalous';

/**
 * Joins what the stages found into result.json, tells it and deletes the work object: in this order, so that a run that
 * dies in between leaves work that the next run does again. A result never gets worse.
 */
export async function finalize(
  data: ScoredInspection,
  { store, childOutcomes, publishResult }: FinalizeContext,
): Promise<{ status: 'done' | 'incomplete' }> {
  const explained = isExplained(data);
  const result = joinResult(data, explained ? await childOutcomes() : undefined);
  const { inspectionId } = data;
  if (result.status === 'incomplete' && (await readResult(store, inspectionId))?.status === 'done') {
    return { status: 'done' };
  }
  await putJson(store, resultKey(inspectionId), result);
  await publishResult(eventOf(data, { status: result.status, scored: data.scored }));
  if (explained && result.status === 'done') await store.delete(workKey(inspectionId));
  return { status: result.status };
}

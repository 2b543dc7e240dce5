import type { Inspection, InspectionEvent, ScoredInspection, Verdict } from '../shared/contracts.js';
import { anomalyMapKey, overlayKey, workKey } from '../shared/keys.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { Scorer } from '../shared/patchcore/scorer.js';
import { readImage } from '../shared/read-image.js';
import { eventOf } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';

export interface ScoreContext {
  store: ObjectStore;
  scorer: Scorer;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
  publishVerdict(event: InspectionEvent): Promise<void>;
  addFinalize(data: ScoredInspection): Promise<void>;
  addFlow(data: ScoredInspection): Promise<void>;
}

/**
 * Scores one image and hands it on. The verdict goes out before anything is drawn; what the explaining stages need is
 * stored before that, so that no verdict promises an explanation that cannot be made.
 */
export async function score(inspection: Inspection, context: ScoreContext): Promise<{ verdict: Verdict }> {
  const { store, scorer } = context;
  const { inspectionId } = inspection;
  const bundle = await context.loadBundle(inspection.product, inspection.bundle);
  const image = await scorer.score(await readImage(store, inspection.imageKey), bundle, inspection.region);
  const data: ScoredInspection = { ...inspection, scored: image.scored };
  const { verdict } = image.scored;
  const event = eventOf(inspection, { scored: image.scored });

  if (verdict === 'good' && inspection.policy === 'flagged') {
    await context.publishVerdict(event);
    await context.addFinalize(data);
    return { verdict };
  }
  await store.put(workKey(inspectionId), await scorer.pack(image));
  await context.publishVerdict(event);
  const { anomalyMap, overlay } = await scorer.draw(image, bundle);
  await Promise.all([
    store.put(anomalyMapKey(inspectionId), anomalyMap),
    store.put(overlayKey(inspectionId), overlay, { contentType: 'image/png' }),
  ]);
  await context.addFlow(data);
  return { verdict };
}

import type { Inspection } from '../shared/contracts.js';
import type { Outcome } from './ingest-tally.js';

/** A place in the order of an ingest: that of an image whose result is awaited, of one that is settled, or neither. */
export interface Place {
  inspection?: Inspection;
  outcome?: Outcome;
  /** Called when all places before have passed and this one has an outcome, or awaits none. */
  passed(outcome: Outcome | undefined): void;
}

interface Awaited {
  inspection: Inspection;
  outcome?: Outcome;
}

export interface OrderedPlaces {
  /** Inspections without an outcome, by id. */
  readonly awaited: ReadonlyMap<string, Awaited>;
  /** Places that have not passed. */
  count(): number;
  add(places: readonly Place[]): void;
  /** False where nobody waits for this inspection. */
  settle(inspectionId: string, outcome: Outcome): boolean;
  /** The image goes on under another version of the bundle. */
  replace(inspectionId: string, inspection: Inspection): void;
  /** Passes what can be, in order. */
  pass(): void;
}

/** Results come in any order; places pass in the order in which they were added. */
export function createOrderedPlaces(): OrderedPlaces {
  const places: { place: Place; entry?: Awaited }[] = [];
  const awaited = new Map<string, Awaited>();
  return {
    awaited,
    count: () => places.length,
    add(added) {
      for (const place of added) {
        const { inspection } = place;
        if (!inspection) {
          places.push({ place });
          continue;
        }
        // Two keys may name one image, such as a file that lies in two folders.
        const entry = awaited.get(inspection.inspectionId) ?? { inspection };
        awaited.set(inspection.inspectionId, entry);
        places.push({ place, entry });
      }
    },
    settle(inspectionId, outcome) {
      const entry = awaited.get(inspectionId);
      if (!entry) return false;
      awaited.delete(inspectionId);
      entry.outcome = outcome;
      return true;
    },
    replace(inspectionId, inspection) {
      const entry = awaited.get(inspectionId);
      if (!entry) return;
      awaited.delete(inspectionId);
      awaited.set(inspection.inspectionId, entry);
      entry.inspection = inspection;
    },
    pass() {
      let passed = 0;
      for (const { place, entry } of places) {
        const outcome = entry ? entry.outcome : place.outcome;
        if (entry && outcome === undefined) break;
        place.passed(outcome);
        passed++;
      }
      places.splice(0, passed);
    },
  };
}

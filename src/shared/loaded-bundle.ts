import {
  assertNetwork,
  type Bundle,
  type PartName,
  readBundle,
  type Subspace,
  type SubspacePartName,
} from './bundle.js';
import { formsOf, readParts, subspaceFormsOf } from './bundle-parts.js';
import { shareFloats } from './compute.js';
import type { RiskFunction } from './kernels/risk-function.js';
import type { ModelInput } from './model-input.js';
import { readNetwork } from './networks.js';
import { readModel, writeModel } from './onnx/model.js';
import { type SharedModel, shareModel } from './onnx/session-cache.js';
import type { Fusion, ImageScoring } from './patchcore/image-score.js';
import type { Size } from './patchcore/patch-vectors.js';
import type { ResidualModel } from './patchcore/residual-graph.js';
import { composeScoreGraph } from './patchcore/score-graph.js';
import type { ObjectStore } from './store/object-store.js';

/** The good/defect classifier: a linear score of the embedding. */
export interface ClassifierHead {
  /** (1280) in shared memory */
  weights: Float32Array;
  bias: number;
  /** Its held-out AUROC is below 0.8. */
  weak: boolean;
}

/** The risk of a defect from the readable features, and the good images it is explained against. */
export interface RiskModel {
  model: RiskFunction;
  /** (B, 5) features of good images, with held-out patch distances */
  background: Float64Array;
  /** (5) medians of good images */
  usual: number[];
}

/** A bundle ready to score with. */
export interface LoadedBundle {
  bundle: Bundle;
  /** What every scoring task is given. */
  scoring: ScoringBundle;
  /** (M) training image · P + patch of each bank row */
  sources: Int32Array;
  /** (N, P) distances of each training image to a bank that has not seen it */
  heldOutDistances: Float32Array;
  /** (N, P) likewise of residual distances, where the score is `fused` */
  heldOutResiduals?: Float32Array;
  classifier: ClassifierHead;
  risk: RiskModel;
}

/** The part of a bundle that the threads need: small numbers, and arrays in shared memory that travel by reference. */
export interface ScoringBundle extends ImageScoring {
  model: SharedModel;
  input: ModelInput;
  grid: Size;
  /** (M) */
  spacing: Float32Array;
  mapSigma: number;
  median: number;
  threshold: number;
  mapQuantile: number;
}

/**
 * Reads a bundle, checks its parts against their sha256 and composes its graph.
 *
 * Errors: BUNDLE_NOT_FOUND, BUNDLE_DAMAGED, BUNDLE_NETWORK_MISMATCH, MODEL_DAMAGED, STORE_UNREACHABLE.
 */
export async function loadBundle(store: ObjectStore, product: string, version: string): Promise<LoadedBundle> {
  const bundle = await readBundle(store, product, version);
  assertNetwork(bundle);
  const network = await readNetwork(bundle.network.kind);
  const parts = await readParts(store, bundle.parts, formsOf(bundle));
  const floats = (name: PartName) => parts[name].data as Float32Array;
  const second = bundle.subspace && (await loadSubspace(store, bundle, bundle.subspace));
  const scoring = composeScoring(bundle, network, floats, second);
  const { bias, weak } = bundle.classifier;
  return {
    bundle,
    scoring,
    sources: parts.sources.data as Int32Array,
    heldOutDistances: floats('held-out-distances'),
    heldOutResiduals: second?.heldOutResiduals,
    classifier: { weights: shareFloats(floats('classifier-weights')), bias, weak },
    risk: riskModelOf(bundle, parts['risk-background'].data as Float64Array),
  };
}

function riskModelOf({ risk }: Bundle, background: Float64Array): RiskModel {
  return { model: riskFunctionOf(risk), background, usual: risk.usual };
}

function riskFunctionOf(risk: Bundle['risk']): RiskFunction {
  if (risk.kind === 'forest') {
    const { kind, trees } = risk;
    return {
      kind,
      features: Int32Array.from(trees.flatMap(({ features }) => features)),
      thresholds: Float64Array.from(trees.flatMap(({ thresholds }) => thresholds)),
      leaves: Float64Array.from(trees.flatMap(({ leaves }) => leaves)),
    };
  }
  const { kind, weights, bias, means, scales } = risk;
  return {
    ...{ kind, bias, weights: Float64Array.from(weights) },
    ...{ means: Float64Array.from(means), scales: Float64Array.from(scales) },
  };
}

function composeScoring(
  bundle: Bundle,
  network: Uint8Array,
  floats: (name: PartName) => Float32Array,
  second?: SecondTerm,
): ScoringBundle {
  const { score, input, grid, dims, median, threshold, mapQuantile, settings } = bundle;
  const bank = { rows: shareFloats(floats('bank')), spacing: shareFloats(floats('spacing')), dims };
  const graph = composeScoreGraph(readModel(network).graph, input, {
    neighbourhood: bundle.neighbourhood,
    projection: { matrix: floats('projection-matrix'), bias: floats('projection-bias') },
    bank,
    residual: second?.residual,
  });
  const position = { means: shareFloats(floats('position-means')), scales: shareFloats(floats('position-scales')) };
  return {
    model: shareModel(writeModel(graph)),
    ...{ score, input, grid, position, fusion: second?.fusion },
    ...bank,
    topFraction: settings.topFraction,
    mapSigma: settings.mapSigma,
    ...{ median, threshold, mapQuantile },
  };
}

interface SecondTerm {
  residual: ResidualModel;
  fusion: Fusion;
  heldOutResiduals: Float32Array;
}

async function loadSubspace(store: ObjectStore, bundle: Bundle, subspace: Subspace): Promise<SecondTerm> {
  const parts = await readParts(store, subspace.parts, subspaceFormsOf(bundle, subspace));
  const floats = (name: SubspacePartName) => parts[name].data as Float32Array;
  const { distanceScores, residualScores } = subspace;
  return {
    residual: {
      matrix: floats('subspace-matrix'),
      offset: floats('subspace-offset'),
      components: parts['subspace-components'].data as Int8Array,
      scales: floats('subspace-scales'),
      shrinkage: floats('subspace-shrinkage'),
      means: floats('residual-means'),
      whitening: floats('residual-whitening'),
    },
    fusion: {
      position: {
        means: shareFloats(floats('residual-position-means')),
        scales: shareFloats(floats('residual-position-scales')),
      },
      distanceScores,
      residualScores,
    },
    heldOutResiduals: floats('held-out-residuals'),
  };
}

export interface BundleCache {
  /** The loaded bundle, loaded at most once at a time. Errors as `loadBundle`; a failed load may be tried again. */
  get(product: string, version: string): Promise<LoadedBundle>;
}

/** Keeps the bundles that were used last, at most `maxLoadedBundles`. */
export function createBundleCache(store: ObjectStore, maxLoadedBundles: number): BundleCache {
  const loading = new Map<string, Promise<LoadedBundle>>();
  return {
    get(product, version) {
      const id = `${product}/${version}`;
      const bundle = loading.get(id) ?? loadBundle(store, product, version);
      loading.delete(id);
      loading.set(id, bundle);
      for (const oldest of [...loading.keys()].slice(0, -maxLoadedBundles)) loading.delete(oldest);
      bundle.catch(() => {
        if (loading.get(id) === bundle) loading.delete(id);
      });
      return bundle;
    },
  };
}

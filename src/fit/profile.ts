import type { ProfileName } from '../shared/bundle.js';
import type { NetworkKind } from '../shared/networks.js';
import type { ScoreName } from '../shared/patchcore/image-score.js';
import type { Neighbourhood } from '../shared/patchcore/patch-vectors.js';

/** What a fit is done with. */
export interface Recipe {
  profile: ProfileName;
  network: NetworkKind | 'auto';
  /** Side of the square whose area the model input has, where the images agree in aspect. */
  side: number;
  neighbourhood: Neighbourhood;
  /** Principal components of the patch vectors; null keeps them as they are. */
  dims: number | null;
  /** Rows of a memory bank that is chosen from so many patches. */
  bankRows: (patches: number) => number;
  /** Whether distances are relative to how far apart the bank's rows lie. */
  spacing: boolean;
  score: ScoreName;
  /** Principal components of a patch in the subspace of good images. */
  subspaceDims: number;
}

export const profiles: Record<ProfileName, Omit<Recipe, 'profile'>> = {
  fast: {
    network: 'auto',
    side: 224,
    neighbourhood: 'inside',
    dims: 96,
    bankRows: () => 8000,
    spacing: true,
    score: 'fused',
    subspaceDims: 96,
  },
  accurate: {
    network: 'float',
    side: 320,
    neighbourhood: 'inside',
    dims: 128,
    bankRows: () => 15_000,
    spacing: true,
    score: 'fused',
    subspaceDims: 128,
  },
  /** PatchCore as published (arXiv:2106.08265), with this network and both of its layers at the same weight. */
  classic: {
    network: 'float',
    side: 224,
    neighbourhood: 'padded',
    dims: null,
    bankRows: (patches) => Math.ceil(0.1 * patches),
    spacing: false,
    score: 'top3',
    subspaceDims: 128,
  },
};

export interface RecipeChoice {
  profile?: ProfileName;
  network?: Recipe['network'];
  score?: ScoreName;
}

/** A profile, by default `fast`, with what is wished otherwise. */
export function recipeOf({ profile = 'fast', network, score }: RecipeChoice): Recipe {
  const recipe = profiles[profile];
  return { ...recipe, profile, network: network ?? recipe.network, score: score ?? recipe.score };
}

export const settings = { thresholdFactor: 2, topFraction: 0.03, mapSigma: 4 };

/** Parts that the training images are dealt out to, each held out once; few images are held out nearly one by one. */
export const foldsFor = (images: number): number => (images <= 50 ? Math.min(20, images) : 5);

import { z } from 'zod';
import { regionSchema, warningSchema } from './contracts.js';
import { codeOf, messageOf, PatchlineError } from './errors.js';
import { boosting } from './kernels/boosted-trees.js';
import { featureNames } from './kernels/readable-features.js';
import { bundleFolder, namePattern } from './keys.js';
import { bankLayers, networks } from './networks.js';
import { scoreNames } from './patchcore/image-score.js';
import { neighbourhoods } from './patchcore/patch-vectors.js';
import { subspaceLayers } from './patchcore/residual-graph.js';
import { getJson, jsonBytes, type ObjectStore } from './store/object-store.js';
import { bestF1Schema, heldOutSchema, oddImageSchema, rateSchema, thresholdRuleSchema } from './threshold-rule.js';

/**
 * A bundle: everything learned for one product, immutable, in `bundles/<product>/<version>/`. `bundle.json` describes it and
 * is written last, so that a bundle is there whole or not at all.
 */
const sizeSchema = z.strictObject({ height: z.number().int().positive(), width: z.number().int().positive() });
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().positive();
const versionSchema = z.string().regex(/^v[1-9]\d*$/);

export const partNames = [
  'projection-matrix',
  'projection-bias',
  'bank',
  'spacing',
  'sources',
  'position-means',
  'position-scales',
  'held-out-distances',
  'classifier-weights',
  'risk-background',
] as const;
export type PartName = (typeof partNames)[number];

/** Of the score `fused`: the subspace of good images, and what residuals they leave. */
export const subspacePartNames = [
  'subspace-matrix',
  'subspace-offset',
  'subspace-components',
  'subspace-scales',
  'subspace-shrinkage',
  'residual-means',
  'residual-whitening',
  'residual-position-means',
  'residual-position-scales',
  'held-out-residuals',
] as const;
export type SubspacePartName = (typeof subspacePartNames)[number];

/** What classifier and risk model learned from: a bundle that grows from this one adds to it. */
export const samplePartNames = ['sample-embeddings', 'sample-features', 'sample-groups'] as const;
export type SamplePartName = (typeof samplePartNames)[number];

/** The recipes of a fit. */
export const profileNames = ['fast', 'accurate', 'classic'] as const;
export type ProfileName = (typeof profileNames)[number];

const area = z.number().min(0).max(1);
const featureValues = z.array(z.number()).length(featureNames.length);

/** `key` names the object, so that a version with another threshold can share the parts of the one before. */
const partSchema = z.strictObject({ key: z.string().min(1), sha256: sha256Schema, bytes: count });

const spreadFields = { median: z.number(), spread: z.number().positive() };
const subspaceSchema = z.strictObject({
  /** Layers of the network, and how much each weighs. */
  layers: z.record(z.enum(subspaceLayers), z.number().positive()),
  /** Training images that it was made from, dimensions of a patch and components. */
  images: count,
  dims: count,
  rank: count,
  /** Mean squared distance of these images from their mean; absent in bundles of earlier releases, which cannot grow. */
  variance: z.number().nonnegative().optional(),
  /** Of held-out images: what the two scores are standardised by before they are fused. */
  distanceScores: z.strictObject(spreadFields),
  residualScores: z.strictObject(spreadFields),
  parts: z.record(z.enum(subspacePartNames), partSchema),
});
export type Subspace = z.infer<typeof subspaceSchema>;
export type Part = z.infer<typeof partSchema>;

const heldOutAurocSchema = z.strictObject({ auroc: area, spread: z.number().nonnegative() });
const riskFields = {
  /** Of images that a fit without them judged. */
  auroc: area,
  /** Why the model is of its kind; absent in bundles of earlier releases. */
  comparison: z.strictObject({ divisions: count, logistic: heldOutAurocSchema, forest: heldOutAurocSchema }).optional(),
  /** Medians of good images. */
  usual: featureValues,
  /** Good images in the part risk-background. */
  background: count,
};
const logisticRiskSchema = z.strictObject({
  /** Bundles of earlier releases know no other. */
  kind: z.literal('logistic').optional().default('logistic'),
  ...riskFields,
  weights: featureValues,
  bias: z.number(),
  means: featureValues,
  scales: featureValues,
});
const featureIndex = z
  .number()
  .int()
  .min(0)
  .max(featureNames.length - 1);
/** Root, left and right split, and the leaves from left to right: see kernels/boosted-trees.ts. */
const riskTreeSchema = z.strictObject({
  features: z.array(featureIndex).length(3),
  thresholds: z.array(z.number()).length(3),
  leaves: z.array(z.number()).length(4),
});
export type RiskTree = z.infer<typeof riskTreeSchema>;
const forestRiskSchema = z.strictObject({
  kind: z.literal('forest'),
  ...riskFields,
  trees: z.array(riskTreeSchema).min(1).max(boosting.trees),
});

const bundleFields = z.strictObject({
  schema: z.literal(2),
  product: z.string().regex(namePattern),
  version: versionSchema,
  /** The version that this one has grown from. */
  base: versionSchema.optional(),
  createdAt: z.iso.datetime(),
  profile: z.enum(profileNames),
  score: z.enum(scoreNames),
  seed: z.number().int(),
  network: z.strictObject({
    kind: z.enum(['int8', 'float']),
    file: z.string(),
    sha256: sha256Schema,
    /** Of int8 against float on training images; null where they were not compared. */
    featureError: z.number().nullable(),
  }),
  /** Model input, and the part of the images that was shown to it. */
  input: sizeSchema.extend({ region: regionSchema.optional() }),
  /** How much larger than the profile's own the model input is. */
  tiles: z.strictObject({ rows: count, columns: count }),
  /** Width over height of the training images; null where they differ and every image is squashed to the input. */
  aspect: z.number().positive().nullable(),
  /** The stride-16 grid of patches. */
  grid: sizeSchema,
  /** Layers of the network that patch vectors are made of, and what their 3 × 3 means count at the border. */
  layers: z.tuple([z.literal(bankLayers[0]), z.literal(bankLayers[1])]),
  neighbourhood: z.enum(neighbourhoods),
  /** Training images, their patches, and rows and dimensions of the memory bank chosen from them. */
  images: count,
  patches: count,
  rows: count,
  dims: count,
  /** Of held-out image scores: spread is the 84.13 % quantile less the median. */
  ...spreadFields,
  threshold: z.number(),
  thresholdRule: thresholdRuleSchema.default({ rule: 'robust' }),
  /** What thresholds are judged by; absent in bundles of earlier releases, as the two that follow. */
  heldOut: heldOutSchema.optional(),
  /** The share of good images that is expected to be flagged. */
  falseAlarms: rateSchema.optional(),
  /** Where there are labelled defects. */
  bestF1: bestF1Schema.optional(),
  /** Worst first. */
  oddImages: z.array(oddImageSchema).default([]),
  /** The 99.9 % quantile of held-out map values: the scale of overlays and boxes. */
  mapQuantile: z.number(),
  settings: z.strictObject({
    folds: count,
    thresholdFactor: z.number().positive(),
    /** Share of an image's patches whose mean is its score. */
    topFraction: z.number().positive(),
    /** Blur of the anomaly map, in pixels of the model input. */
    mapSigma: z.number().positive(),
  }),
  /** The good/defect classifier: the defect's log odds are the part classifier-weights · embedding + bias. */
  classifier: z.strictObject({
    bias: z.number(),
    /** Of images that a fit without them judged. */
    auroc: area,
    /** `auroc` is below 0.8. */
    weak: z.boolean(),
    /** What risk and classifier learned defects from, and from how many images. */
    defects: z.enum(['labelled', 'synthetic']),
    count,
    ridge: z.number().positive(),
  }),
  /** The risk of a defect by the readable features, in the order of `featureNames`. */
  risk: z.discriminatedUnion('kind', [logisticRiskSchema, forestRiskSchema]),
  parts: z.record(z.enum(partNames), partSchema),
  /** The second term of the score `fused`. */
  subspace: subspaceSchema.optional(),
  /** The good images, then those of defects; older bundles have none. */
  sampleParts: z.record(z.enum(samplePartNames), partSchema).optional(),
  /** `<folder>/<n>.jpg` is image n at model size; sizes are those of the upright originals. */
  training: z.strictObject({
    folder: z.string().min(1),
    images: z.array(z.strictObject({ name: z.string(), ...sizeSchema.shape })),
  }),
  /** File formats of the training images. */
  formats: z.array(z.string()).min(1),
  warnings: z.array(warningSchema),
});

export const bundleSchema = bundleFields.refine(
  ({ score, subspace }) => (score === 'fused') === (subspace !== undefined),
  {
    message: 'a subspace belongs to the score fused, and to no other',
  },
);
export type Bundle = z.infer<typeof bundleSchema>;

/** bundle.json as it was before there were several profiles. */
const firstSchema = bundleFields
  .omit({ base: true, tiles: true, layers: true, neighbourhood: true, subspace: true, sampleParts: true })
  .extend({ schema: z.literal(1), profile: z.literal('fast'), score: z.literal('position') })
  .transform(
    (bundle): Bundle => ({
      ...bundle,
      ...{ schema: 2, tiles: { rows: 1, columns: 1 }, layers: [...bankLayers], neighbourhood: 'inside' },
    }),
  );
const storedSchema = z.discriminatedUnion('schema', [bundleSchema, firstSchema]);

export const bundleKey = (product: string, version: string): string => `${bundleFolder(product, version)}/bundle.json`;
export const bundleCardKey = (product: string, version: string): string => `${bundleFolder(product, version)}/card.txt`;
/** A picture of the odd training images, where there are any. */
export const oddImagesKey = (product: string, version: string): string =>
  `${bundleFolder(product, version)}/odd-images.jpg`;
const claimKey = (product: string, version: string): string => `${bundleFolder(product, version)}/claim.json`;
export const trainingPictureKey = ({ training }: Bundle, image: number): string => `${training.folder}/${image}.jpg`;

/** Throws BUNDLE_NOT_FOUND, or BUNDLE_DAMAGED where bundle.json cannot be read. */
export async function readBundle(store: ObjectStore, product: string, version: string): Promise<Bundle> {
  const bundle = await findBundle(store, product, version);
  if (bundle) return bundle;
  throw new PatchlineError('BUNDLE_NOT_FOUND', `Expected bundle ${version} of product ${product} but there is none`);
}

async function findBundle(store: ObjectStore, product: string, version: string): Promise<Bundle | undefined> {
  return await readJson(store, bundleKey(product, version), storedSchema);
}

/** What a JSON object beside the bundles says, undefined where there is none. Throws BUNDLE_DAMAGED where it cannot be read. */
export async function readJson<T>(store: ObjectStore, key: string, schema: z.ZodType<T>): Promise<T | undefined> {
  const damaged = (cause: unknown, fault: string) =>
    new PatchlineError('BUNDLE_DAMAGED', `Expected a description of a bundle in ${key} but ${fault}`, { cause });
  let json: unknown;
  try {
    json = await getJson(store, key);
  } catch (error) {
    throw error instanceof SyntaxError ? damaged(error, messageOf(error)) : error;
  }
  if (json === undefined) return undefined;
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw damaged(parsed.error, z.prettifyError(parsed.error));
  return parsed.data;
}

/** Everything that a bundle consists of, but pictures. */
export const allParts = ({ parts, subspace, sampleParts }: Bundle): Record<string, Part> => ({
  ...parts,
  ...subspace?.parts,
  ...sampleParts,
});

/** Throws BUNDLE_NETWORK_MISMATCH where this release has another network than the one that the bundle was fitted with. */
export function assertNetwork({ product, version, network }: Bundle): void {
  const present = networks[network.kind];
  if (present.sha256 === network.sha256) return;
  throw new PatchlineError(
    'BUNDLE_NETWORK_MISMATCH',
    `Expected the network ${network.file} with sha256 ${network.sha256} for bundle ${version} of product ${product} but ` +
      `this release has ${present.file} with ${present.sha256}: fit the product anew`,
  );
}

/** Products that have a bundle or are about to get one, in order. */
export async function listProducts(store: ObjectStore): Promise<string[]> {
  return (await namesUnder(store, 'bundles/')).filter((name) => namePattern.test(name));
}

/** A bundle whose bundle.json cannot be read. */
export interface DamagedBundle {
  version: string;
  damage: string;
}

/** The bundles of a product, oldest first. */
export async function listBundles(store: ObjectStore, product: string): Promise<(Bundle | DamagedBundle)[]> {
  const versions = await listVersions(store, product);
  const bundles = await Promise.all(
    versions.map((version) =>
      findBundle(store, product, version).catch((error: unknown): DamagedBundle => {
        if (codeOf(error) !== 'BUNDLE_DAMAGED') throw error;
        return { version, damage: messageOf(error) };
      }),
    ),
  );
  return bundles.filter((bundle) => bundle !== undefined);
}

/** The names of a product's versions, oldest first, those included that are being written. */
export async function listVersions(store: ObjectStore, product: string): Promise<string[]> {
  return (await claimedVersions(store, product)).map((version) => `v${version}`);
}

/** Takes the next version number for a new bundle. Two fits may run at once: each gets its own. */
export async function claimVersion(store: ObjectStore, product: string): Promise<string> {
  let version = ((await claimedVersions(store, product)).at(-1) ?? 0) + 1;
  const claim = jsonBytes({ claimedAt: new Date().toISOString() });
  while (!(await store.putIfAbsent(claimKey(product, `v${version}`), claim))) version++;
  return `v${version}`;
}

/** Ascending; a fit that is running or has failed holds a number too. */
async function claimedVersions(store: ObjectStore, product: string): Promise<number[]> {
  const names = await namesUnder(store, `bundles/${product}/`);
  const numbers = names.flatMap((name) => /^v([1-9]\d*)$/.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => a - b);
}

/** The next segments of the keys under a prefix, without walking through all the objects behind each of them. */
async function namesUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  let after: string | undefined;
  for (;;) {
    const [next] = (await store.list(prefix, { after, limit: 1 })).objects;
    if (!next) return names;
    const [name] = next.key.slice(prefix.length).split('/') as [string];
    names.push(name);
    const isFolder = next.key.length > prefix.length + name.length;
    after = isFolder ? `${prefix}${name}0` : next.key; // '0' is the character behind '/'
  }
}

import type { Scored, Similar, Verdict } from '../shared/contracts.js';
import { equals, plainRow } from './rows.js';
import { type HistoryRow, vectorsOf } from './schema.js';
import { type History, reach } from './table.js';

/** An inspected image whose like is looked for. */
export interface Suspect {
  imageKey: string;
  product: string;
  verdict: Verdict;
  backbone: string;
  /** (1280) */
  embedding: Float32Array;
  /** (328) */
  patch: Float32Array;
}

export interface SimilarInspection extends Similar {
  imageKey: string;
}

/** @throws ARRAY_UNREADABLE, SHAPE_MISMATCH */
export function suspectOf(
  { inspectionId, imageKey, product }: { inspectionId: string; imageKey: string; product: string },
  { verdict, vectors }: Pick<Scored, 'verdict' | 'vectors'>,
): Suspect {
  return { imageKey, product, verdict, backbone: vectors.backbone, ...vectorsOf(vectors, inspectionId) };
}

const compared = ['inspectionId', 'imageKey', 'verdict', 'review', 'embedding', 'patch'] as const;
type Candidate = { [Column in (typeof compared)[number]]: NonNullable<HistoryRow[Column]> } & {
  review: HistoryRow['review'];
};

/** Images differ about half as much in their embeddings as in their most suspicious patches: so both count alike. */
const embeddingWeight = 2;

/** Rows that are compared by both vectors, at least and for each one wanted. */
const shortlistLength = 100;
const shortlistFactor = 20;
/** Of the index that a large history has over its embeddings. */
const probedPartitions = 64;

/**
 * The k past inspections most like an image, nearest first: never the image itself, each other image once, of the same product and
 * network only.
 *
 * A good image is compared by its embedding, with all: d = 1 - cos. An anomalous one is compared with those that were judged or
 * reviewed anomalous: the nearest by the most suspicious patch, in order of d = (1 - cos of the patches) + 2 (1 - cos of the
 * embeddings).
 *
 * @throws HISTORY_UNAVAILABLE
 */
export async function findSimilar(history: History, suspect: Suspect, k: number): Promise<SimilarInspection[]> {
  const ranked = (await shortlist(history, suspect, k))
    .map(({ inspectionId, imageKey, verdict, review, ...vectors }) => {
      return { inspectionId, imageKey, distance: distanceOf(suspect, vectors), verdict, review };
    })
    .sort((a, b) => a.distance - b.distance || (a.inspectionId > b.inspectionId ? -1 : 1));
  // An image may have been inspected under several bundle versions.
  const ofImage = new Map<string, SimilarInspection>();
  for (const each of ranked) if (!ofImage.has(each.imageKey)) ofImage.set(each.imageKey, each);
  return [...ofImage.values()].slice(0, k);
}

type Vectors = Pick<Suspect, 'embedding' | 'patch'>;

/** How unlike a past inspection is, 0 for the same. */
export function distanceOf(suspect: Vectors & Pick<Suspect, 'verdict'>, { embedding, patch }: Vectors): number {
  const ofEmbeddings = cosineDistance(suspect.embedding, embedding);
  if (suspect.verdict === 'good') return ofEmbeddings;
  return cosineDistance(suspect.patch, patch) + embeddingWeight * ofEmbeddings;
}

async function shortlist(
  history: History,
  { imageKey, product, verdict, backbone, ...vectors }: Suspect,
  k: number,
): Promise<Candidate[]> {
  const column = verdict === 'good' ? 'embedding' : 'patch';
  const conditions = [equals('product', product), equals('backbone', backbone), `NOT ${equals('imageKey', imageKey)}`];
  if (verdict === 'anomalous') conditions.push(`(${equals('verdict', verdict)} OR ${equals('review', verdict)})`);
  const rows = await reach(history, () =>
    history.table
      .query()
      .nearestTo(vectors[column])
      .column(column)
      .distanceType('cosine')
      .nprobes(probedPartitions)
      .where(conditions.join(' AND '))
      .select([...compared, '_distance'])
      .limit(Math.max(shortlistLength, shortlistFactor * k))
      .toArray(),
  );
  return rows.map((row) => plainRow<Candidate>(row.toJSON()));
}

/** 1 - cos of the angle between two vectors, 0 to 2; 1 where one of them is 0. */
function cosineDistance(a: Float32Array, b: Float32Array): number {
  let [product, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    squareA += a[i]! ** 2;
    squareB += b[i]! ** 2;
  }
  return squareA > 0 && squareB > 0 ? 1 - product / Math.sqrt(squareA * squareB) : 1;
}

import { createHash } from 'node:crypto';
import { basename } from 'node:path';

/** What a camera or a product may be called. */
export const namePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;

export const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

/** UTC date, yyyy-mm-dd, of an ISO instant. */
export const dateOf = (instant: string): string => new Date(instant).toISOString().slice(0, 10);

/** The id of the inspection of one image by one bundle version: the same work always has the same id. */
export function inspectionIdOf(imageKey: string, product: string, bundle: string, capturedAt: string): string {
  const digest = sha256(`${imageKey}\n${product}\n${bundle}`).slice(0, 24);
  return `i-${dateOf(capturedAt).replaceAll('-', '')}-${digest}`;
}

/** The key of an original: camera, UTC date of capture, content hash and a base name made safe. */
export function imageKeyOf(camera: string, capturedAt: string, bytes: Uint8Array, fileName: string): string {
  const safeName =
    basename(fileName)
      .replace(/[^A-Za-z0-9._-]/g, '_')
      .slice(-80) || 'image';
  return `images/${camera}/${dateOf(capturedAt)}/${sha256(bytes).slice(0, 16)}-${safeName}`;
}

/** UTC date of capture, yyyy-mm-dd, that stands in an inspection's id. */
export function dateOfInspection(inspectionId: string): string {
  const [, year, month, day] = /^i-(\d{4})(\d{2})(\d{2})-/.exec(inspectionId)!;
  return `${year}-${month}-${day}`;
}

/** The folder of an inspection's result and artefacts; its date stands in the id. */
export const inspectionFolder = (inspectionId: string): string =>
  `inspections/${dateOfInspection(inspectionId)}/${inspectionId}`;

export const resultKey = (inspectionId: string): string => `${inspectionFolder(inspectionId)}/result.json`;
export const reviewKey = (inspectionId: string): string => `${inspectionFolder(inspectionId)}/review.json`;
export const anomalyMapKey = (inspectionId: string): string => `${inspectionFolder(inspectionId)}/anomaly-map.npy`;
export const overlayKey = (inspectionId: string): string => `${inspectionFolder(inspectionId)}/overlay.png`;
export const gradcamKey = (inspectionId: string): string => `${inspectionFolder(inspectionId)}/gradcam.npy`;
export const workKey = (inspectionId: string): string => `work/${inspectionId}/score.npz`;
export const bundleFolder = (product: string, version: string): string => `bundles/${product}/${version}`;
export const activeBundleKey = (product: string): string => `bundles/${product}/active.json`;

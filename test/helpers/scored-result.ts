import type { FailedResult, ScoredResult } from '../../src/shared/contracts.js';

/** The result of an anomalous part without explanations. */
export const scoredResult: ScoredResult = {
  schema: 1,
  inspectionId: 'i-20260131-0123456789abcdef01234567',
  imageKey: 'images/line-1/2026-01-31/0123456789abcdef-part.png',
  camera: 'line-1',
  product: 'plate',
  bundle: 'v1',
  capturedAt: '2026-01-31T08:00:00.000Z',
  finishedAt: '2026-01-31T08:00:01.000Z',
  status: 'done',
  verdict: 'anomalous',
  anomalyScore: 5.1,
  threshold: 2.6,
  severity: 275,
  location: { box: [120, 60, 40, 30], peak: [140, 80] },
  nearestNormal: { trainingImage: 'bundles/plate/v1/training/7.jpg', box: [16, 48, 16, 16], distance: 0.71 },
  warnings: [],
  vectors: { embedding: '', patch: '', backbone: '' },
  timings: {},
};

const folder = `inspections/2026-01-31/${scoredResult.inspectionId}`;
export const artefacts = {
  overlay: `${folder}/overlay.png`,
  anomalyMap: `${folder}/anomaly-map.npy`,
  gradcam: `${folder}/gradcam.npy`,
};

/** The result of an image that cannot be decoded. */
export const failedResult: FailedResult = {
  schema: 1,
  inspectionId: 'i-20260131-fedcba9876543210fedcba98',
  imageKey: 'images/line-1/2026-01-31/fedcba9876543210-cut.png',
  camera: 'line-1',
  product: 'plate',
  bundle: 'v1',
  capturedAt: '2026-01-31T08:00:00.000Z',
  finishedAt: '2026-01-31T08:00:01.000Z',
  status: 'failed',
  error: { code: 'IMAGE_UNREADABLE', message: 'Expected a whole PNG image but it is cut', stage: 'score' },
  policy: 'flagged',
  priority: 0,
};

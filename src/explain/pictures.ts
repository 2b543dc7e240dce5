import type { ScoredResult } from '../shared/contracts.js';
import { decodeImage, encodePng, type ImageSize } from '../shared/image.js';
import type { Box } from '../shared/kernels/connected-region.js';
import { overlay } from '../shared/kernels/overlay.js';
import { expectArray, type NpyArray, readNpy } from '../shared/npy.js';
import { patchPairPng } from '../shared/plots/patch-pair.js';
import { processWaterfallSvg } from '../shared/plots/process-waterfall.js';
import { waterfallPng, waterfallSvg } from '../shared/plots/waterfall.js';
import { displayCam } from './cam/display.js';

export const pictureNames = ['patch-pair.png', 'gradcam-overlay.png', 'waterfall.svg', 'waterfall.png'] as const;
/** Only where the product has a model of process data. */
export const processPictureName = 'process-waterfall.svg';
export type PictureName = (typeof pictureNames)[number] | typeof processPictureName;
export type Pictures = Partial<Record<PictureName, Uint8Array>>;

/** What pictures are drawn from, beside the result: bytes as they are stored. */
export interface PictureSources {
  original: Uint8Array;
  /** .npy, float32 (H, W) at the size of the model input */
  anomalyMap: Uint8Array;
  /** A picture of a good part, at the size of the model input. */
  trainingPicture: Uint8Array;
  /** .npy, float32 (h, w), signed; where there is one */
  gradcam?: Uint8Array;
}

/** The bytes under a key that stands in a result. */
export type Read = (key: string) => Promise<Uint8Array>;

/** Undefined for an image that was not explained. */
export async function readSources(result: ScoredResult, read: Read): Promise<PictureSources | undefined> {
  const { artefacts, imageKey, nearestNormal } = result;
  if (!artefacts) return undefined;
  const [original, anomalyMap, trainingPicture, gradcam] = await Promise.all([
    read(imageKey),
    read(artefacts.anomalyMap),
    read(nearestNormal.trainingImage),
    artefacts.gradcam === undefined ? undefined : read(artefacts.gradcam),
  ]);
  return { original, anomalyMap, trainingPicture, ...(gradcam && { gradcam }) };
}

/**
 * The pictures of an inspection that are drawn on request: the suspicious patch beside its nearest normal patch, the
 * Grad-CAM++ overlay, the waterfall of the risk and that of process data. What was not explained has no picture.
 *
 * Errors: those of `read`; ARRAY_UNREADABLE, SHAPE_MISMATCH for a damaged map.
 */
export async function drawPictures(result: ScoredResult, read: Read): Promise<Pictures> {
  const sources = await readSources(result, read);
  return sources ? await drawFrom(result, sources) : {};
}

/** The same from bytes at hand. */
export async function drawFrom(result: ScoredResult, sources: PictureSources): Promise<Pictures> {
  const map = expectArray(readNpy(sources.anomalyMap, 'anomaly map'), 'anomaly map', 'float32', [null, null]);
  const [height, width] = map.shape as [number, number];
  const size = { height, width };
  const pixels = await decodePixels(sources.original, size);
  const goodPixels = await decodePixels(sources.trainingPicture, size);
  const { nearestNormal, risk, attribution } = result;
  const part = { ...size, pixels, box: peakPatch(map, nearestNormal.box) };
  const goodPart = { ...size, pixels: goodPixels, box: nearestNormal.box };
  return {
    'patch-pair.png': await patchPairPng(part, goodPart),
    ...(sources.gradcam && { 'gradcam-overlay.png': await drawGradcamOverlay(sources.gradcam, pixels, size) }),
    ...(risk && { 'waterfall.svg': Buffer.from(waterfallSvg(risk)), 'waterfall.png': await waterfallPng(risk) }),
    ...(attribution && { [processPictureName]: Buffer.from(processWaterfallSvg(attribution)) }),
  };
}

/** RGB (H, W, 3), as the network saw it. Any number of bytes: the inspection has accepted the image. */
async function decodePixels(bytes: Uint8Array, size: ImageSize): Promise<Uint8Array> {
  return (await decodeImage(bytes, size, { maxImageBytes: Number.POSITIVE_INFINITY })).pixels;
}

/** The patch under the largest value of an anomaly map (H, W); all patches are as large as the one of the good part. */
function peakPatch({ data, shape }: NpyArray<'float32'>, [, , patchWidth, patchHeight]: Box): Box {
  const width = shape[1]!;
  const peak = data.reduce((best, value, i) => (value > data[best]! ? i : best), 0);
  const [column, row] = [Math.floor((peak % width) / patchWidth), Math.floor(peak / width / patchHeight)];
  return [column * patchWidth, row * patchHeight, patchWidth, patchHeight];
}

async function drawGradcamOverlay(npy: Uint8Array, pixels: Uint8Array, size: ImageSize): Promise<Uint8Array> {
  const { data, shape } = expectArray(readNpy(npy, 'Grad-CAM++ map'), 'Grad-CAM++ map', 'float32', [null, null]);
  const [h, w] = shape as [number, number];
  const heat = displayCam(data, h, w, size.height, size.width);
  return await encodePng(overlay(pixels, heat), { ...size, channels: 3 });
}

import { readBundle } from '../shared/bundle.js';
import { decodeImage, readSize } from '../shared/image.js';
import { heatOf, overlay, smallestQuantile } from '../shared/kernels/overlay.js';
import { resizeAntialiased } from '../shared/kernels/resize.js';
import { heatPanelsPng } from '../shared/plots/heat-panels.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { MapGroup, MapSearch, ReadMap } from './map-groups.js';

/**
 * Quantile maps over a good part, under one scale: of anomaly maps that of their overlays, of Grad-CAM++ maps their own largest
 * value, with what speaks against a defect cut off.
 *
 * @param maps data is (Q, H, W) @returns PNG
 */
export async function drawQuantiles(
  store: ObjectStore,
  { camera, bundle, keys, trainingImage }: MapGroup,
  { product, map, quantiles }: MapSearch & { quantiles: readonly number[] },
  maps: ReadMap,
): Promise<Uint8Array> {
  const good = await store.get(trainingImage);
  const { height, width } = await readSize(good);
  const { pixels } = await decodeImage(good, { height, width }, { maxImageBytes: Number.POSITIVE_INFINITY });
  const full = map === 'anomaly' ? 2 * (await readBundle(store, product, bundle)).mapQuantile : largestOf(maps.data);
  const P = maps.height * maps.width;
  const panels = quantiles.map((quantile, k) => {
    const own = maps.data.slice(k * P, (k + 1) * P);
    const shown = resizeAntialiased(own, maps.height, maps.width, height, width);
    return { title: titleOf(quantile), pixels: overlay(pixels, heatOf(shown, full / 2)) };
  });
  const kind = map === 'anomaly' ? 'anomaly maps' : 'Grad-CAM++ maps';
  const number = (value: number) => String(Number(value.toPrecision(3)));
  return await heatPanelsPng({
    title: `Quantiles of ${keys.length} ${kind}`,
    subtitle: `${product} ${bundle}, ${camera === null ? 'no camera' : `camera ${camera}`}; drawn over a good part`,
    panels,
    size: { height, width },
    scale: {
      low: '0',
      high: `${number(Math.max(full, 2 * smallestQuantile))}${map === 'anomaly' ? ' and more' : ''}`,
    },
  });
}

const largestOf = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, value), 0);

const names: Readonly<Record<number, string>> = { 0: 'smallest values', 0.5: 'median', 1: 'largest values' };

const titleOf = (quantile: number): string =>
  names[quantile] ?? `${Number((100 * quantile).toPrecision(4))} % of the values lie below`;

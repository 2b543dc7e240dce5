import type { Risk } from '../contracts.js';
import type { FeatureName } from '../kernels/readable-features.js';

/** What each feature is called where people read it; a share is shown in percent. */
const labels: Record<FeatureName, { label: string; isShare: boolean }> = {
  mean_patch_distance: { label: 'mean patch distance', isShare: false },
  max_patch_distance: { label: 'largest patch distance', isShare: false },
  depth_variance: { label: 'depth variation', isShare: false },
  edge_density: { label: 'share of edge pixels', isShare: true },
  texture_regularity: { label: 'evenness of texture', isShare: true },
};

export const featureLabel = (name: FeatureName): string => labels[name].label;

/** As in "largest patch distance: 5.1, usual 1.9". */
export function describeFeature({ name, value, usual }: Risk['features'][number]): string {
  const { label, isShare } = labels[name];
  const [shown, shownUsual] = isShare ? formatPair(100 * value, 100 * usual) : formatPair(value, usual);
  const unit = isShare ? ' %' : '';
  return `${label}: ${shown}${unit}, usual ${shownUsual}${unit}`;
}

const formats = [2, 3, 4].map(
  (digits) =>
    new Intl.NumberFormat('en', {
      minimumSignificantDigits: digits,
      maximumSignificantDigits: digits,
      useGrouping: false,
    }),
);

/** Two digits, and up to four where fewer would make different numbers look alike. */
function formatPair(value: number, usual: number): [string, string] {
  const pairs = formats.map(({ format }): [string, string] => [format(value), format(usual)]);
  return pairs.find(([a, b]) => a !== b) ?? pairs[0]!;
}

import type { Rate } from '../shared/threshold-rule.js';

/** Such as 0.5 %. */
export const formatRate = (rate: number): string => `${Number((100 * rate).toPrecision(2))} %`;

/** With the 95 % interval. */
export const rateText = ({ rate, interval: [low, high] }: Rate): string =>
  `${formatRate(rate)} (95 %: ${formatRate(low)} to ${formatRate(high)})`;

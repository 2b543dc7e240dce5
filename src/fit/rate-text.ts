import type { Rate } from '../shared/threshold-rule.js';

const percent = (share: number): string => String(Number((100 * share).toPrecision(2)));

/** Such as 0.5 %. */
export const formatRate = (rate: number): string => `${percent(rate)} %`;

/** With the 95 % interval. */
export const rateText = ({ rate, interval: [low, high] }: Rate): string =>
  `${formatRate(rate)} (95 % sure: ${percent(low)} to ${percent(high)} %)`;

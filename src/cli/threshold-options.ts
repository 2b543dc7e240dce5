import { InvalidArgumentError, Option } from 'commander';
import type { ThresholdChoice } from '../fit/threshold.js';
import { PatchlineError } from '../shared/errors.js';

export interface ThresholdOptions {
  falseAlarms?: number;
  costMiss?: number;
  costAlarm?: number;
}

const option = (flags: string, description: string, parse: (text: string) => number): Option =>
  new Option(flags, description).argParser(parse);

/** Of `fit`: how it finds its threshold. */
export const thresholdOptions = {
  falseAlarms: option('--false-alarms <rate>', 'threshold for this share of good images flagged, such as 0.005', rate),
  costMiss: option(
    '--cost-miss <number>',
    'threshold that costs least, with labelled defects: what a miss costs',
    positive,
  ),
  costAlarm: option('--cost-alarm <number>', 'beside --cost-miss: what a false alarm costs', positive),
};

/** A threshold that flags half of the good images lies at their median, from where severity is measured. */
const mostFalseAlarms = 0.5;

function rate(text: string): number {
  const value = decimal(text);
  if (value > 0 && value < mostFalseAlarms) return value;
  throw new InvalidArgumentError(`Expected a share of good images between 0 and ${mostFalseAlarms}, such as 0.005.`);
}

export function positive(text: string): number {
  const value = decimal(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

const decimal = (text: string): number => (/^\d*\.?\d+(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN);

/** Throws ARGUMENT_INVALID. */
export function thresholdChoice({ falseAlarms, costMiss, costAlarm }: ThresholdOptions): ThresholdChoice {
  if ((costMiss === undefined) !== (costAlarm === undefined)) {
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected --cost-miss and --cost-alarm together');
  }
  if (falseAlarms !== undefined && costMiss !== undefined) {
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected either --false-alarms or --cost-miss and --cost-alarm');
  }
  if (costMiss !== undefined) return { rule: 'cost', costMiss, costAlarm: costAlarm! };
  return falseAlarms === undefined ? { rule: 'robust' } : { rule: 'false-alarms', rate: falseAlarms };
}

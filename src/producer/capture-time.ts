import { PatchlineError } from '../shared/errors.js';

/** How far a camera's clock may be ahead; a time zone taken for another makes up to 14 hours. */
const clockToleranceMs = 86_400_000;

/**
 * Refuses a time of capture that lies ahead of this machine's clock: one of the two clocks is wrong, and the inspection would be
 * filed under a day that has not come.
 *
 * @param source who says so, for the message
 * @throws CAPTURE_TIME_INVALID
 */
export function assertCaptureTime(capturedAt: string, source: string, toleranceMs = clockToleranceMs): void {
  if (Date.parse(capturedAt) <= Date.now() + toleranceMs) return;
  throw new PatchlineError(
    'CAPTURE_TIME_INVALID',
    `Expected a time of capture at most ${toleranceMs / 60_000} minutes ahead of this machine's clock for ${source} but received ${capturedAt}`,
  );
}

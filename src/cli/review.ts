import { userInfo } from 'node:os';
import { Argument } from 'commander';
import { z } from 'zod';
import { reviewInspection } from '../producer/review.js';
import { type Verdict, verdictSchema } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { type NewReview, newReviewSchema } from '../shared/reviews.js';
import { answer, type CommonOptions, defineCommand, openSession } from './command-line.js';

interface ReviewOptions extends CommonOptions {
  note?: string;
  by?: string;
  defectType?: string;
}

export const review = defineCommand(
  'review <inspection>',
  'Say what a person found of an inspected part: kept beside the result, and learned from by fit --camera and fit --add.',
  'patchline review i-20260131-0123456789abcdef01234567 good --note "only dust"\npatchline review i-20260131-0123456789abcdef01234567 anomalous --defect-type scratch --by anna',
)
  .addArgument(new Argument('<verdict>', 'what it is').choices(verdictSchema.options))
  .option('--note <text>', 'a remark')
  .option('--by <name>', 'who says so (default: the user of the operating system)')
  .option('--defect-type <name>', 'what the defect is called')
  .action(async (inspectionId: string, verdict: Verdict, { note, by, defectType, ...options }: ReviewOptions) => {
    const given = parseReview({ verdict, note, by: by ?? userName(), defectType });
    const kept = await reviewInspection(await openSession(options), inspectionId, given);
    const before = kept.earlier?.at(-1);
    answer(options, { inspectionId, ...kept }, [
      `${inspectionId} reviewed ${kept.verdict} by ${kept.by}${before ? `; before: ${before.verdict} by ${before.by}` : ''}`,
    ]);
  });

/** @throws ARGUMENT_INVALID */
function parseReview(given: NewReview): NewReview {
  const isGiven = ([, value]: [string, unknown]) => value !== undefined;
  const parsed = newReviewSchema.safeParse(Object.fromEntries(Object.entries(given).filter(isGiven)));
  if (parsed.success) return parsed.data;
  throw new PatchlineError('ARGUMENT_INVALID', z.prettifyError(parsed.error));
}

/** @throws ARGUMENT_INVALID where the operating system knows no name, as in some containers */
function userName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected --by, since the operating system has no name for its user', {
      cause,
    });
  }
}

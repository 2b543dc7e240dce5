import { expect, test } from 'vitest';
import { addToTally, emptyTally, type Finding, tallySchema } from '../../src/producer/ingest-tally.js';

const found = (n: number, rest: Partial<Finding>) => ({
  kind: 'result' as const,
  finding: {
    inspectionId: `i-${n}`,
    imageKey: `images/${n}.jpg`,
    capturedAt: '2024-05-06T07:08:09.000Z',
    status: 'done' as const,
    ...rest,
  },
});

test('every image counts once, by status, day and error; the worst are kept', () => {
  const tally = emptyTally();
  for (let n = 0; n < 40; n++) addToTally(tally, found(n, { verdict: 'anomalous', severity: 100 + ((n * 7) % 40) }));
  addToTally(tally, found(40, { verdict: 'good', severity: 3, capturedAt: '2024-05-07T00:00:00.000Z' }));
  addToTally(tally, found(41, { verdict: 'good', severity: 3, status: 'incomplete' }));
  const error = { code: 'IMAGE_UNREADABLE', message: 'cut short' };
  addToTally(tally, found(42, { status: 'failed', error }));
  addToTally(tally, found(43, { status: 'failed', error: { ...error, message: 'another' } }));
  addToTally(tally, { kind: 'finished' });
  addToTally(tally, { kind: 'refused', image: 'a.jpg', code: 'IMAGE_TOO_LARGE', message: 'too large' });
  expect(tallySchema.parse(JSON.parse(JSON.stringify(tally)))).toEqual(tally);
  expect(tally).toMatchObject({
    ...{ images: 46, done: 41, incomplete: 1, failed: 2, finished: 1, refused: 1, anomalous: 40 },
    days: {
      '2024-05-06': { images: 43, anomalous: 40, failed: 2 },
      '2024-05-07': { images: 1, anomalous: 0, failed: 0 },
    },
    faults: {
      IMAGE_UNREADABLE: { images: 2, example: { image: 'images/42.jpg', message: 'cut short' } },
      IMAGE_TOO_LARGE: { images: 1, example: { image: 'a.jpg', message: 'too large' } },
    },
  });
  expect(tally.worst.map(({ severity }) => severity)).toEqual(Array.from({ length: 24 }, (_, i) => 139 - i));
});

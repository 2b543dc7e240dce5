import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { backfillReport, describeBackfill, writeBackfillReport } from '../../../src/cli/backfill-report.js';
import { durationText, factsOf } from '../../../src/cli/rate-progress.js';
import { newCursor } from '../../../src/producer/cursor.js';
import { addToTally } from '../../../src/producer/ingest-tally.js';
import { openStore } from '../../../src/shared/store/open-store.js';

const head = { source: 's3://parts/<2023>/', camera: 'line-1', kind: 'backfill' as const };

function cursorOf(days: number) {
  const cursor = newCursor({ ...head, times: 'modified', byReference: true });
  for (let i = 0; i < 10 * days; i++) {
    const capturedAt = new Date(Date.UTC(2023, 0, 1 + Math.floor(i / 10))).toISOString();
    const inspectionId = `i-${capturedAt.slice(0, 10).replaceAll('-', '')}-${String(i).padStart(24, '0')}`;
    const finding = { inspectionId, imageKey: `archive/${i}.png`, capturedAt, status: 'done' as const };
    addToTally(cursor.tally, {
      kind: 'result',
      finding: { ...finding, verdict: i % 10 === 0 ? 'anomalous' : 'good', severity: i },
    });
  }
  addToTally(cursor.tally, { kind: 'refused', image: 'a<b.jpg', code: 'IMAGE_TOO_LARGE', message: 'Expected less' });
  return { ...cursor, finishedAt: '2026-01-01T00:00:00.000Z', activeMs: 8_000, resumed: 2 };
}

test('the report of a backfill opens from disk: counts, a chart, the worst images, what went wrong', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'patchline-report-'));
  const store = await openStore(join(directory, 'store'));
  const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  await store.put('archive/30.png', png);
  const report = backfillReport(cursorOf(4), 'kol');
  expect(report).toMatchObject({ images: 41, good: 36, anomalous: 4, refused: 1, seconds: 8, imagesPerSecond: 41 / 8 });
  expect(report.days.map(({ date, images }) => [date, images])).toEqual([
    ...['01', '02', '03', '04'].map((day) => [`2023-01-${day}`, 10]),
  ]);
  expect(describeBackfill(report)).toEqual([
    '41 images in 8 s, 5.1 images/s, resumed 2 times',
    '36 good, 4 anomalous, 0 failed',
    '1 refused',
    'IMAGE_TOO_LARGE: 1 image, such as a<b.jpg: Expected less',
  ]);

  const page = await readFile(await writeBackfillReport(store, report, join(directory, 'out')), 'utf8');
  expect(JSON.parse(await readFile(join(directory, 'out/report.json'), 'utf8'))).toEqual(report);
  expect(page).toContain('s3://parts/&lt;2023&gt;/, product kol');
  expect(page).toContain('a&lt;b.jpg: Expected less');
  expect(page.match(/Severity \d+/g)).toEqual([
    'Severity 30',
    'Severity 20',
    'Severity 10',
    'Severity 0',
    'Severity 100',
  ]);
  const named = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
  expect(named).toContain(`pictures/${report.worst[0]!.inspectionId}-part.jpg`);
  for (const path of named) await access(join(directory, 'out', path));
  expect(await readFile(join(directory, 'out/days.svg'), 'utf8')).toContain('Images by day');
  await rm(directory, { recursive: true });
});

test('a long time is drawn by months', async () => {
  const { chartSvg } = await import('../../../src/shared/plots/chart.js');
  const { daysChart } = await import('../../../src/cli/backfill-chart.js');
  const svg = chartSvg(daysChart(backfillReport(cursorOf(200), 'kol')));
  expect(svg).toContain('Images by month');
  expect(svg.match(/<rect/g)!.length).toBe(1 + 3 + 3 * 7); // ground, legend, seven months of three kinds
});

test('progress is told in figures that a person can read', () => {
  const advance = { done: 1_234, total: 100_000, anomalous: 4, failed: 1, rate: 31.25 };
  expect(factsOf(advance)).toBe('1234 of 100000 images, 31.3 images/s, 52 min 41 s left, 4 anomalous, 1 failed');
  expect(factsOf({ ...advance, total: undefined, failed: 0 })).toBe('1234 images, 31.3 images/s, 4 anomalous');
  expect(factsOf({ ...advance, rate: 0 })).toBe('1234 of 100000 images, 0.0 images/s, 4 anomalous, 1 failed');
  expect([0, 59.6, 3_600, 90_061].map(durationText)).toEqual(['0 s', '1 min', '1 h', '1 d 1 h']);
});

import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { createProducer, enqueue, planInspection } from '../producer/enqueue.js';
import { goodOriginals } from '../producer/good-originals.js';
import { storeOriginal } from '../producer/originals.js';
import { openResultWindow } from '../producer/result-window.js';
import { atPace, defectTypes, simulatedImage, simulateLine } from '../producer/simulated-camera.js';
import { type InspectionResult, inspectionEventSchema, stageNames } from '../shared/contracts.js';
import { startEmbeddedRedis } from '../shared/embedded-redis.js';
import { PatchlineError } from '../shared/errors.js';
import { quantile } from '../shared/kernels/quantile.js';
import { openQueues, type Queues, streamKey } from '../shared/queues.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { openStore } from '../shared/store/open-store.js';
import { type PoolOptions, startPools } from '../workers/pools.js';
import {
  answer,
  type CommonOptions,
  defineCommand,
  openSession,
  remark,
  type Session,
  wholeNumber,
} from './command-line.js';
import { untilAskedToEnd } from './connection.js';
import { fitWith } from './fit.js';
import { copyInspection, writeContactSheet } from './inspection-folders.js';
import { createProgress } from './progress.js';
import { describeResult } from './result-lines.js';
import { positive } from './threshold-options.js';

const seed = 7;
const trainingImages = 60;
const camera = 'simulated';
const product = 'plate';
/** Marks a directory as a demo's own, which the next demo may empty. */
const marker = 'demo-store.txt';

interface DemoOptions extends CommonOptions {
  images: number;
  exit?: boolean;
  rate?: number;
  burst?: number;
}

export const demo = defineCommand(
  'demo',
  'Show everything at work: a simulated camera sends metal plates, a third of them defective, through embedded queues.',
  'patchline demo --images 60 --exit',
)
  .option('--images <number>', 'plates to inspect', wholeNumber(1), 60)
  .option('--rate <number>', 'plates a second (default: as fast as they are made)', positive)
  .option('--burst <number>', 'with --rate: send so many at once, at the same mean rate', wholeNumber(1))
  .option('--exit', 'end after the last verdict instead of waiting for Ctrl-C')
  .action(async (options: DemoOptions) => {
    if (options.burst !== undefined && options.rate === undefined) {
      throw new PatchlineError('ARGUMENT_INVALID', 'Expected --rate beside --burst: it says how often a burst comes');
    }
    const directory = resolve(options.store ?? 'patchline-data/demo');
    await emptyDemoStore(directory);
    const session = await openSession({ ...options, store: directory });
    const redis = await startEmbeddedRedis(directory, {
      logger: session.logger,
      onRestart: () => remark('the embedded Redis was started again'),
    });
    const queues = openQueues(redis.url, session.config.queue, session.logger);
    const { startHistoryWriter } = await import('../history/writer.js'); // LanceDB is large: not for --help
    const history = startHistoryWriter({ ...session, queues });
    try {
      await learn(session);
      const pools = startPools(stageNames, { ...session, queues, classifiers: new Map() });
      const line = await inspectLine({ ...session, queues }, options);
      const contactSheet = await drawContactSheet(session.store, line, directory);
      answer(options, { ...summaryOf(line), contactSheet }, [...tableOf(line), `pictures: ${contactSheet}`]);
      if (!options.exit) {
        remark('Press Ctrl-C to end.');
        await untilAskedToEnd();
      }
      await pools.close();
    } finally {
      await history.close();
      await queues.close();
      await redis.stop();
    }
  });

/** @throws ARGUMENT_INVALID for a directory that holds something else than an earlier demo. */
async function emptyDemoStore(directory: string): Promise<void> {
  const names = existsSync(directory) ? await readdir(directory) : [];
  if (names.length > 0 && !names.includes(marker)) {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      `Expected an empty directory or that of an earlier demo for --store but received ${directory}`,
    );
  }
  await rm(directory, { recursive: true, force: true });
  await openStore(directory);
  await writeFile(join(directory, marker), 'The demo empties this directory when it starts.\n');
}

/** Collects good plates from the camera and fits a bundle on them. */
async function learn(session: Session): Promise<void> {
  remark(`collecting ${trainingImages} good plates and learning what good looks like ...`);
  for (let index = 0; index < trainingImages; index++) {
    const { name, bytes } = await simulatedImage(seed, index, null);
    const capturedAt = new Date().toISOString();
    await storeOriginal(session.store, { camera, bytes, fileName: name, capturedAt }, true);
  }
  const { images } = await goodOriginals(session.store, { camera, product });
  const startedAt = performance.now();
  const bundle = await fitWith(session, { product, images, network: 'auto', seed, activate: true });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  remark(
    `learned bundle ${bundle.version} in ${seconds} s: ${bundle.rows} memory bank rows, threshold ${bundle.threshold.toFixed(3)}`,
  );
}

interface Inspected {
  defect: string | null;
  result: InspectionResult;
  /** From sending the image to its verdict and to its result. */
  verdictMs: number;
  resultMs: number;
}

interface Line {
  inspected: Inspected[];
  seconds: number;
}

/** Sends the plates, one after the other or at the rate asked for, and prints a line for each result as it comes. */
async function inspectLine(options: Omit<PoolOptions, 'classifiers'>, demo: DemoOptions): Promise<Line> {
  const { store, queues, config, logger } = options;
  const producer = createProducer(store, queues, config);
  const sent = new Map<string, { defect: string | null; sentAt: number }>();
  const results: InspectionResult[] = [];
  const progress = createProgress('inspecting', demo.images);
  let reading = Promise.resolve();
  const show = async (inspectionId: string) => {
    const result = (await readResult(store, inspectionId))!;
    results.push(result);
    progress.tick();
    progress.print(`${describeResult(result)}  (${sent.get(inspectionId)!.defect ?? 'good'})`);
  };
  const window = openResultWindow({
    ...{ producer, logger, from: '0', onStall: remark },
    onOutcome(outcome) {
      if (outcome.kind === 'result') reading = reading.then(() => show(outcome.finding.inspectionId));
      reading.catch(() => undefined); // thrown when it is awaited
    },
  });
  const startedAt = performance.now();
  for await (const { name, bytes, defect } of platesOf(demo)) {
    const sentAt = performance.now();
    const original = { camera, bytes, fileName: name, capturedAt: new Date().toISOString() };
    const inspection = await planInspection(producer, await storeOriginal(store, original, false));
    sent.set(inspection.inspectionId, { defect, sentAt });
    window.add([{ inspection, passed() {} }]);
    await enqueue(producer, inspection, false);
  }
  await window.until(0);
  await window.close();
  await reading;
  progress.stop();
  const seconds = (performance.now() - startedAt) / 1000;
  return { inspected: await timesOf(queues, results, sent), seconds };
}

const platesOf = ({ images, rate, burst = 1 }: DemoOptions) =>
  rate === undefined ? simulateLine({ seed, images }) : atPace(simulateLine({ seed, images }), { rate, burst });

async function timesOf(
  queues: Queues,
  results: readonly InspectionResult[],
  sent: ReadonlyMap<string, { defect: string | null; sentAt: number }>,
): Promise<Inspected[]> {
  const told = await verdictTimes(queues);
  return results.map((result) => {
    const { defect, sentAt } = sent.get(result.inspectionId)!;
    const sentTime = performance.timeOrigin + sentAt;
    const verdictMs = told.get(result.inspectionId)! - sentTime;
    return { defect, result, verdictMs, resultMs: Date.parse(result.finishedAt) - sentTime };
  });
}

/** When each inspection's verdict was told, in ms since 1970: an event's id begins with it. */
async function verdictTimes({ redis, config }: Queues): Promise<Map<string, number>> {
  const events = await redis.xrange(streamKey(config, 'verdicts'), '-', '+');
  return new Map(
    events.map(([id, fields]) => {
      const { inspectionId } = inspectionEventSchema.parse(JSON.parse(fields[1]!));
      return [inspectionId, Number(id.split('-')[0])];
    }),
  );
}

/** Draws all pictures; index.html lies in the demo's own folder. */
async function drawContactSheet(store: ObjectStore, { inspected }: Line, directory: string): Promise<string> {
  const progress = createProgress('drawing', inspected.length);
  for (const { result } of inspected) {
    await copyInspection(store, result, join(directory, 'pictures'), 'all');
    progress.tick();
  }
  progress.stop();
  return await writeContactSheet(directory, 'pictures');
}

const isFlagged = ({ result }: Inspected): boolean => result.status !== 'failed' && result.verdict === 'anomalous';

function summaryOf({ inspected, seconds }: Line) {
  const of = (defect: string | null) => inspected.filter((each) => each.defect === defect);
  const types = defectTypes.map((type) => ({ type, sent: of(type).length, found: of(type).filter(isFlagged).length }));
  const percentiles = (times: number[]) => ({ p50: quantile(times, 0.5), p95: quantile(times, 0.95) });
  return {
    images: inspected.length,
    defects: types.filter(({ sent }) => sent > 0),
    good: { sent: of(null).length, falseAlarms: of(null).filter(isFlagged).length },
    failed: inspected.filter(({ result }) => result.status === 'failed').length,
    imagesPerSecond: inspected.length / seconds,
    verdictMs: percentiles(inspected.map(({ verdictMs }) => verdictMs)),
    resultMs: percentiles(inspected.map(({ resultMs }) => resultMs)),
  };
}

function tableOf(line: Line): string[] {
  const { defects, good, failed, images, imagesPerSecond, verdictMs, resultMs } = summaryOf(line);
  const row = (kind: string, ...cells: (number | string)[]) =>
    kind.padEnd(16) + cells.map((cell) => String(cell).padStart(8)).join('');
  const times = ({ p50, p95 }: { p50: number; p95: number }) =>
    `half within ${p50.toFixed(0)} ms, 95 % within ${p95.toFixed(0)} ms`;
  return [
    '',
    row('defect', 'sent', 'found', 'missed'),
    ...defects.map(({ type, sent, found }) => row(type, sent, found, sent - found)),
    '',
    `${good.sent} good plates, ${good.falseAlarms} false ${good.falseAlarms === 1 ? 'alarm' : 'alarms'}`,
    `${images} images, ${imagesPerSecond.toFixed(1)} a second, ${failed} failed`,
    `from image to verdict: ${times(verdictMs)}`,
    `from image to result:  ${times(resultMs)}`,
  ];
}

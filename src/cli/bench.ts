import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { simulatedImage, simulateLine } from '../producer/simulated-camera.js';
import type { Policy } from '../shared/contracts.js';
import { startEmbeddedRedis } from '../shared/embedded-redis.js';
import { median } from '../shared/kernels/quantile.js';
import { loadBundle } from '../shared/loaded-bundle.js';
import { findRedis } from '../shared/redis.js';
import { type PipelineRun, type Run, runKernels, runPipeline, type Setup } from './bench-runs.js';
import { answer, type CommonOptions, defineCommand, openSession, remark, wholeNumber } from './command-line.js';
import { fitWith } from './fit.js';

const product = 'plate';
const seed = 5;
const trainingImages = 40;

interface BenchOptions extends CommonOptions {
  images: number;
  rounds: number;
}

export const bench = defineCommand(
  'bench',
  'Measure the whole pipeline on simulated plates beside its kernels alone, in the same run, so that what queues and store cost is known.',
  'patchline bench --images 200 --rounds 3 --json',
)
  .option('--images <number>', 'plates in each round', wholeNumber(10), 200)
  .option('--rounds <number>', 'rounds; medians are printed', wholeNumber(1), 3)
  .action(async (options: BenchOptions) => {
    const directory = await mkdtemp(join(tmpdir(), 'patchline-bench-'));
    const session = await openSession({ ...options, store: options.store ?? directory });
    const { logger, config } = session;
    const embedded = process.env.REDIS_URL
      ? undefined
      : await startEmbeddedRedis(directory, {
          logger,
          onRestart: () => remark('the embedded Redis died: run the bench again'),
        });
    try {
      const redisUrl = embedded?.url ?? (await findRedis(session.store.url));
      remark(`fitting on ${trainingImages} simulated plates ...`);
      const images = await goodPlates(trainingImages);
      const { version } = await fitWith(session, {
        product,
        images: images.map((bytes, index) => ({ name: `${index}.jpg`, read: async () => bytes })),
        network: 'auto',
        seed,
        activate: true,
      });
      const bundle = await loadBundle(session.store, product, version);
      const setup = { product, config, logger, bundle, redisUrl, storeUrl: session.store.url };
      const report = await measure(setup, options);
      answer(options, report, describe(report));
    } finally {
      await embedded?.stop();
      await rm(directory, { recursive: true, force: true });
    }
  });

async function goodPlates(count: number): Promise<Uint8Array[]> {
  const plates = Array.from({ length: count }, (_, index) => index);
  return await pMap(plates, async (index) => (await simulatedImage(seed, index, null)).bytes, { concurrency: 4 });
}

async function linePlates(images: number, defectRate: number): Promise<Uint8Array[]> {
  const plates: Uint8Array[] = [];
  for await (const { bytes } of simulateLine({ seed, images, defectRate })) plates.push(bytes);
  return plates;
}

/** The cases: which images are explained, and how many of them are defective. */
const cases: Record<string, { policy: Policy; defectRate: number }> = {
  'all explained': { policy: 'all', defectRate: 1 / 3 },
  'flagged, 2 % anomalous': { policy: 'flagged', defectRate: 0.02 },
};

/** Each round measures kernels and pipeline in turn, so that a change in the machine's speed meets both. */
async function measure(setup: Setup, { images, rounds }: BenchOptions) {
  const results = [];
  for (const [name, { policy, defectRate }] of Object.entries(cases)) {
    const plates = await linePlates(images, defectRate);
    const kernels: Run[] = [];
    const pipeline: PipelineRun[] = [];
    for (let round = 0; round < rounds; round++) {
      remark(`${name}: round ${round + 1} of ${rounds}`);
      kernels.push(await runKernels(setup, plates, policy));
      pipeline.push(await runPipeline(setup, plates, policy, `bench-${process.pid}-${policy}-${round}`));
    }
    const ratios = pipeline.map(({ imagesPerSecond }, round) => imagesPerSecond / kernels[round]!.imagesPerSecond);
    results.push({ name, kernels: medians(kernels), pipeline: medians(pipeline), ratio: median(ratios) });
  }
  return { machine: machine(setup), images, rounds, cases: results };
}

function medians<T extends object>(runs: T[]): T {
  const names = Object.keys(runs[0]!) as (keyof T)[];
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => Number(run[name])))])) as T;
}

function machine({ config }: Setup) {
  const require = createRequire(import.meta.url);
  const { version } = require('onnxruntime-node/package.json') as { version: string };
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    threads: config.threads,
    node: process.version,
    onnxruntime: version,
    commit: commit(),
  };
}

/** Of the checkout this runs from; null in an installed package. */
function commit(): string | null {
  try {
    const here = { cwd: import.meta.dirname, encoding: 'utf8' as const };
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      ...here,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

function describe({ machine, images, rounds, cases: results }: Awaited<ReturnType<typeof measure>>): string[] {
  const cell = (value: number, digits = 1) => value.toFixed(digits).padStart(10);
  const row = (name: string, { imagesPerSecond, cpuMsPerImage }: Run, rest = '') =>
    `  ${name.padEnd(14)}${cell(imagesPerSecond)}${cell(cpuMsPerImage)}${rest}`;
  return [
    `${machine.cpu}, ${machine.cores} cores, ${machine.threads} threads, Node ${machine.node}, onnxruntime ${machine.onnxruntime}, commit ${machine.commit}`,
    `${images} images a round, medians of ${rounds} rounds`,
    ...results.flatMap(({ name, kernels, pipeline, ratio }) => [
      '',
      `${name.padEnd(16)}  images/s    CPU ms   objects  Redis commands`,
      row('kernels alone', kernels),
      row(
        'pipeline',
        pipeline,
        `${cell(pipeline.objectsPerImage)}${cell(pipeline.redisCommandsPerImage).padStart(16)}`,
      ),
      `  the pipeline runs at ${ratio.toFixed(2)} of its kernels`,
    ]),
  ];
}

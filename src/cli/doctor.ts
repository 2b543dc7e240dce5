import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { Tensor } from 'onnxruntime-node';
import { loadConfig } from '../shared/config.js';
import { messageOf } from '../shared/errors.js';
import { median } from '../shared/kernels/quantile.js';
import { createLogger, type Logger } from '../shared/logger.js';
import { type NetworkName, networks, readNetwork } from '../shared/networks.js';
import { createSession } from '../shared/onnx/session.js';
import { assertNoEviction, connectRedis, findRedis } from '../shared/redis.js';
import { openStore } from '../shared/store/open-store.js';
import { answer, type CommonOptions, defineCommand, storeUrlOf } from './command-line.js';

interface Finding {
  check: string;
  ok: boolean;
  found: string;
}

async function examine(check: string, look: () => Promise<string> | string): Promise<Finding> {
  try {
    return { check, ok: true, found: await look() };
  } catch (error) {
    return { check, ok: false, found: messageOf(error) };
  }
}

function checkNode(): string {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  if (major < 20 || (major === 20 && minor < 19))
    throw new Error(`Expected Node 20.19 or newer but this is ${process.version}`);
  return process.version;
}

async function checkStore(url: string): Promise<string> {
  const store = await openStore(url);
  const key = `work/doctor-${randomBytes(8).toString('hex')}`;
  const bytes = randomBytes(1_000);
  await store.put(key, bytes);
  const read = await store.get(key);
  await store.delete(key);
  if (!bytes.equals(read)) throw new Error(`Expected the bytes that were written to ${store.url} but read others`);
  const puts = store.conditionalPuts
    ? ''
    : '; it ignores If-None-Match, so two fits at once may claim the same version';
  return `${store.url} writes, reads and deletes${puts}`;
}

async function checkRedis(storeUrl: string, logger: Logger): Promise<string> {
  const redis = connectRedis(await findRedis(storeUrl), { logger });
  try {
    await assertNoEviction(redis);
    const [, version] = /(?:valkey|redis)_version:(\S+)/.exec(await redis.info('server')) ?? [];
    return `version ${version}, noeviction`;
  } finally {
    redis.disconnect();
  }
}

const timedRuns = 15;

/** Median time of one network over 224 × 224 pixels on one thread, ms. */
async function timeNetwork(name: NetworkName): Promise<number> {
  const session = await createSession(await readNetwork(name));
  const image = new Tensor('float32', new Float32Array(3 * 224 * 224).fill(0.45), [1, 3, 224, 224]);
  const times: number[] = [];
  for (let run = 0; run < timedRuns; run++) {
    const startedAt = performance.now();
    await session.run({ image });
    times.push(performance.now() - startedAt);
  }
  await session.release();
  return median(times.slice(3));
}

export const doctor = defineCommand(
  'doctor',
  'Check Node, store, Redis and the networks, and time the networks on this machine. Exit 1 if something is wrong.',
  'patchline doctor --store s3://parts/line',
).action(async (options: CommonOptions) => {
  const { logLevel } = await loadConfig(options.config);
  const storeUrl = storeUrlOf(options);
  const findings = [
    await examine('node', checkNode),
    await examine('store', () => checkStore(storeUrl)),
    await examine('redis', () => checkRedis(storeUrl, createLogger(logLevel))),
  ];
  const times: Partial<Record<NetworkName, number>> = {};
  for (const name of Object.keys(networks) as NetworkName[]) {
    findings.push(
      await examine(`network ${name}`, async () => {
        times[name] = await timeNetwork(name);
        return `${networks[name].file} is intact, ${times[name].toFixed(1)} ms an image of 224 × 224 on one thread`;
      }),
    );
  }
  const { int8, float } = times;
  const advice =
    int8 === undefined || float === undefined
      ? undefined
      : `fit here with --network ${int8 < float ? 'int8' : 'float'}: it takes ${(Math.min(int8, float) / Math.max(int8, float)).toFixed(2)} of the other's time`;
  answer(options, { findings, advice: advice ?? null }, [
    ...findings.map(({ check, ok, found }) => `${ok ? 'ok    ' : 'WRONG '} ${check.padEnd(14)} ${found}`),
    ...(advice ? [`advice ${advice}`] : []),
  ]);
  if (findings.some(({ ok }) => !ok)) process.exitCode = 1;
});

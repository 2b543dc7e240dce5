import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProgram } from '../../src/cli/program.js';
import { type Bundle, bundleCardKey, bundleKey } from '../../src/shared/bundle.js';
import { stageNames } from '../../src/shared/contracts.js';
import { type EmbeddedRedis, startEmbeddedRedis } from '../../src/shared/embedded-redis.js';
import { createLogger } from '../../src/shared/logger.js';
import { networks } from '../../src/shared/networks.js';
import { getJson, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runCommand, runHere } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { startRedisServer } from '../helpers/redis-server.js';
import { requireService } from '../helpers/services.js';

const program = await createProgram();

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-command-line-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** The words of every command, such as ['bundles', 'list']. */
const commandWords = (command: Command, words: string[] = []): string[][] => [
  words,
  ...command.commands.flatMap((each) => commandWords(each, [...words, each.name()])),
];

describe('help', () => {
  test.each(commandWords(program).map((words) => ({ words })))('of $words shows an example', async ({ words }) => {
    const { code, stdout, stderr } = await runHere([...words, '--help']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`Usage: ${['patchline', ...words].join(' ')} `);
    expect(stdout).toMatch(/\n(Example|Start with):\n {2}(REDIS_URL=\S+ )?patchline /);
  });

  test('names every command that there is, and nothing that there is not yet', async () => {
    let text = '';
    for (const words of commandWords(program)) text += (await runHere([...words, '--help'])).stdout;
    const names = program.commands.map((command) => command.name());
    expect(names.sort()).toEqual([
      'attribute',
      'bench',
      'bundles',
      'demo',
      'doctor',
      'evaluate',
      'explain',
      'export',
      'failed',
      'fit',
      'fit-table',
      'history',
      'ingest',
      'inspect',
      'quantiles',
      'reconcile',
      'review',
      'serve',
      'similar',
      'sinks',
      'status',
      'up',
      'watch',
      'worker',
    ]);
    const later = /dashboard/i;
    expect(text.match(later)).toBeNull();
  });
});

const net = '--model test/golden/nets/relu-gap.onnx --input test/golden/input-gradient/relu-gap/x.npy';

const usage: [args: string, says: string | RegExp][] = [
  ['bogus', "unknown command 'bogus'"],
  ['serve --port 65536', 'Expected a port up to 65535'],
  ['watch DIR', "required option '--camera <name>' not specified"],
  ['watch DIR --camera Line', /Expected a name .* for the camera but received "Line"/],
  ['watch DIR --camera line-1 --every 5', /Expected --every with an s3:\/\/ address only but received DIR/],
  ['watch s3://parts/a --camera line-1 --after leave', /Expected --after with a folder only/],
  ['watch DIR --camera line-1 --after delete', /Allowed choices are move, leave/],
  ['watch DIR --camera line-1 --stable 1', /Expected a whole number of at least 10/],
  ['bundles', ''],
  ['bundles show', "missing required argument 'product'"],
  ['worker', "missing required argument 'stage'"],
  ['worker bogus', /Allowed choices are score, gradcam, features, shap, finalize/],
  ['worker score bogus', /Allowed choices are score, gradcam, features, shap, finalize/],
  ['fit DIR --product kol --bogus', "unknown option '--bogus'"],
  ['fit DIR --product kol --profile thorough', /'thorough' is invalid\. Allowed choices are fast, accurate, classic\./],
  ['fit DIR --product kol --score mean', /Allowed choices are fused, position, top3, max, reweighted\./],
  ['fit DIR --product kol --network float16', /Allowed choices are auto, int8, float/],
  ['fit DIR', /Expected a name .* for --product but received nothing/],
  ['fit DIR --product Kol', /Expected a name .* for --product but received "Kol"/],
  ['fit DIR --add OTHER --product kol', /Expected one folder of images but received DIR and OTHER/],
  ['fit DIR --product kol --base v1', /Expected --base with --add only/],
  ['fit --add DIR --base latest --product kol', /Expected a version such as v3/],
  ['fit --add DIR --product kol --profile fast --seed 1', /Expected --add without --profile, --seed/],
  ['fit --add', /Expected a name .* for --product but received nothing/],
  ['fit --add DIR --product kol --camera line-1', /Expected either a folder or s3:/],
  ['fit --product kol', /Expected either a folder or s3:\/\/ prefix of good images, or --camera/],
  ['fit DIR --product kol --camera line-1', /Expected either/],
  ['fit DIR --product kol --from 2026-01-31', /--camera/],
  ['fit --camera line-1 --from 31.1.2026', /Expected a date such as 2026-01-31/],
  ['fit --camera line-1 --to 2026-02-30', /Expected a date such as 2026-01-31/],
  ['fit DIR --product kol --seed -1', /Expected a whole number of at least 0/],
  ['fit DIR --product kol --seed 1.5', /Expected a whole number of at least 0/],
  ['fit DIR --product kol --seed 99999999999999999999', /Expected a whole number/],
  ['fit DIR --product kol --false-alarms 0', /Expected a share of good images between 0 and 0\.5/],
  ['fit DIR --product kol --false-alarms 0.5', /Expected a share of good images between 0 and 0\.5/],
  ['fit DIR --product kol --false-alarms few', /Expected a share of good images/],
  ['fit DIR --product kol --cost-miss 20', /Expected --cost-miss and --cost-alarm together/],
  ['fit DIR --product kol --cost-alarm 1', /Expected --cost-miss and --cost-alarm together/],
  ['fit DIR --product kol --cost-miss 0 --cost-alarm 1', /Expected a number above 0/],
  ['fit DIR --product kol --cost-miss 2 --cost-alarm 1 --false-alarms 0.01', /Expected either --false-alarms or/],
  ['bundles threshold kol', "required option '--severity <number>' not specified"],
  ['bundles threshold kol --severity 0', /Expected a number above 0/],
  ['bundles threshold kol --severity -5', /Expected a number above 0/],
  ['similar part.jpg', "required option '--product <name>' not specified"],
  ['similar part.jpg --product kol --k 0', /Expected a whole number of at least 1/],
  ['history', ''],
  ['history drift', "required option '--product <name>' not specified"],
  ['history drift --product kol --since 2026-02-30', /Expected a date such as 2026-01-31/],
  ['review i-20260131-0123456789abcdef01234567', "missing required argument 'verdict'"],
  ['review i-20260131-0123456789abcdef01234567 bad', /Allowed choices are good, anomalous/],
  [
    'review i-20260131-0123456789abcdef01234567 good --defect-type pit',
    /type of defect with the verdict anomalous only/,
  ],
  ['review i-20260131-0123456789abcdef01234567 anomalous --defect-type Pit --by anna', /defectType/],
  ['evaluate DIR', "required option '--product <name>' not specified"],
  ['inspect --product kol', "missing required argument 'image'"],
  ['inspect part.jpg', "required option '--product <name>' not specified"],
  ['inspect part.jpg --product kol --pictures all', /Expected --out beside --pictures/],
  ['ingest DIR --camera line-1 --wait --pictures all', /Expected --out beside --pictures/],
  ['export --out a.csv', "required option '--product <name>' not specified"],
  ['export --product kol', "required option '--out <file>' not specified"],
  ['export --product kol --out a.xlsx', /Expected a file that ends in \.csv or \.parquet/],
  ['export --product kol --out a.csv --from 31.1.2026', /Expected a date such as 2026-01-31/],
  ['export --product kol --out a.csv --verdict failed', /Allowed choices are good, anomalous/],
  ['sinks', ''],
  ['sinks failed', "missing required argument 'sink'"],
  ['sinks retry mes', /Expected deliveries or --all/],
  ['sinks drop mes some --all', /Expected deliveries or --all/],
  ['explain', "required option '--model <file>' not specified"],
  ['explain --model m.onnx --method gradient', "required option '--input <file>' not specified"],
  ['explain --model m.onnx --input x.npy', /Expected --method, one of gradient, saliency, .* or --list-layers/],
  ['explain --model m.onnx --input x.npy --method gradient', /Expected --out/],
  ['explain --model m.onnx --input x.npy --method gradcam --out o.npy', /received gradcam \(did you mean grad-cam\?\)/],
  ['explain --model m.onnx --input x.npy --method toString --out o.npy', /for --method but received toString/],
  ['explain --model m.onnx --input x.npy --method gradient --layer a --out o.npy', /Expected --layer only beside/],
  ['explain --model m.onnx --input x.npy --method gradient --mean 1 --out o.npy', /only beside an image/],
  ['explain --model m.onnx --input x.npy --target=-1', /Expected the number of a class/],
  ['explain --model m.onnx --input x.npy --mean 1,,2', /Expected numbers, one per channel/],
  ['explain --model m.onnx --input x.npy --scale 2', /Allowed choices are 1, 255/],
  ['explain --model m.onnx --input x.npy --layout chw', /Allowed choices are nchw, nhwc/],
  ['explain --model m.onnx --input x.npy --options {steps', /Expected JSON/],
  [`explain ${net} --method gradient --options {"a":1} --out o.npy`, /this method has no options/],
  [`explain ${net} --method smoothgrad --options [] --out o.npy`, /Expected \{samples, noise, seed\} for --options/],
  [`explain ${net} --method integrated-gradients --options {"step":1} --out o.npy`, /step \(did you mean steps\?\)/],
  [`explain ${net} --method integrated-gradients --options {"steps":0} --out o.npy`, /steps: /],
  [`explain ${net} --method integrated-gradients --options {"baseline":"black"} --out o.npy`, /Expected zero, mean/],
  [`explain ${net} --method grad-cam++ --options {"variant":"authors"} --out o.npy`, /variant: .*"closed"/],
  [
    `explain ${net} --method lime --options {"ratio":1} --out o.npy`,
    /ratio: is an option of the segmentation quickshift/,
  ],
  [`explain ${net} --method lime --options {"hide":"black"} --out o.npy`, /hide: Expected mean or a number/],
  [`explain ${net} --method lime --options {"topLabels":2} --target 1 --out o.npy`, /either --target or .* topLabels/],
  [`explain ${net} --method lime --layer features --out o.npy`, /Expected --layer only beside/],
  [`explain ${net} --method gradient --target 5 --out o.npy`, /Expected classes 0 to 4 for --target but received 5/],
  [`explain ${net} --method grad-cam --layer feature --out o.npy`, /\(did you mean features\?\).*--list-layers/],
  [`explain ${net} --method grad-cam --layer logits --out o.npy`, /received logits \[1, 5\]/],
  [`explain ${net} --method cam --layer n4_relu --out o.npy`, /Expected features, the tensor that is pooled/],
  [`explain ${net} --method gradient --output logit --out o.npy`, /received logit \(did you mean logits\?\)/],
  [`explain ${net} --method gradient --output features --out o.npy`, /received features \[1, 16, 8, 8\]/],
  ['bench --rounds 0', /Expected a whole number of at least 1/],
  ['fit-table t.csv --target y --out m.onnx', "required option '--model <kind>' not specified"],
  ['fit-table t.csv --target y --model boost --out m.onnx', /Allowed choices are forest, mlp/],
  ['fit-table --model mlp --out m.onnx', /Expected either a table or --from-inspections/],
  ['fit-table t.csv --from-inspections --model mlp --out m.onnx', /Expected either a table or --from-inspections/],
  ['fit-table t.csv --model mlp --out m.onnx', /Expected --target, the column/],
  [
    'fit-table t.csv --target y --camera line-1 --model mlp --out m.onnx',
    /--camera and --since with --from-inspections/,
  ],
  ['fit-table t.csv --target y --model forest --hidden 8 --out m.onnx', /Expected --hidden with --model mlp only/],
  ['fit-table t.csv --target y --model mlp --trees 8 --out m.onnx', /Expected --trees with --model forest only/],
  ['fit-table t.csv --target y --model mlp --hidden 8,0 --out m.onnx', /Expected whole numbers from 1 to 1024/],
  ['fit-table t.csv --target y --model mlp --out m.json', /ends in \.onnx for --out but received m\.json/],
  ['fit-table t.csv --target y --model mlp --out m.onnx', /Expected a table but ENOENT.*t\.csv/],
  ['fit-table --from-inspections --model mlp --out m.onnx', /for --product but received nothing/],
  [
    'fit-table --from-inspections --product kol --target y --model mlp --out m.onnx',
    /severity, anomalyScore, anomalous/,
  ],
  ['fit-table --from-inspections --product kol --ignore a --model mlp --out m.onnx', /with a table only/],
  ['attribute --model m.onnx --data x.npy', "required option '--out <dir>' not specified"],
  [
    'attribute --model m.onnx --data x.npy --out d --method lime',
    /Allowed choices are auto, exact, tree, deep, kernel, linear/,
  ],
  ['attribute --model m.onnx --data x.npy --out d --target -1', /Expected a whole number of at least 0/],
  ['attribute --model m.onnx --data x.npy --out d --explain-output logit', /Allowed choices are margin, probability/],
  ['inspect part.jpg --product kol --pictures some', /Allowed choices are overlay, all/],
  ['ingest DIR', "required option '--camera <name>' not specified"],
  ['ingest DIR --camera Line', /Expected a name .* for the camera but received "Line"/],
  ['ingest DIR --camera line-1 --out results', /Expected --wait beside --out/],
  ['ingest DIR --camera line-1 --collect --wait', /Expected --collect without/],
  ['ingest DIR --camera line-1 --collect --again', /Expected --collect without/],
  ['ingest DIR --camera line-1 --backfill --again', /Expected --again with files only/],
  ['ingest s3://parts/a --camera line-1 --again', /Expected --again with files only/],
  ['ingest s3://parts/a --camera line-1 --collect', /Expected --collect with files outside the store/],
  ['ingest DIR --camera line-1 --backfill --collect', /Expected --collect without/],
  ['ingest DIR --camera line-1 --backfill --out o --pictures all', /Expected --backfill without --pictures/],
  ['demo --burst 5', /Expected --rate beside --burst/],
  ['demo --rate 0', /Expected a number above 0/],
  ['demo --images 0', /Expected a whole number of at least 1/],
  ['quantiles --product plate', "required option '--out <dir>' not specified"],
  ['quantiles --product plate --out o --map overlay', /Allowed choices are anomaly, gradcam/],
  ['quantiles --product plate --out o --quantiles 0.5,2', /Expected numbers from 0 to 1/],
  ['quantiles --product plate --out o --quantiles 0.5,', /Expected numbers from 0 to 1/],
  ['quantiles --product plate --out o --bins 1', /Expected a whole number of at least 2/],
  ['reconcile --since yesterday', /Expected a date such as 2026-01-31/],
  ['failed retry', /Expected inspection ids or --all/],
  ['failed drop i-20260131-0123456789abcdef01234567 --all', /Expected inspection ids or --all/],
  ['status s3://parts', /too many arguments/],
  ['status --store s3://', /Expected an address of the form s3:\/\/bucket\/key/],
];

describe('wrong usage exits 2', () => {
  const argsOf = (line: string) => [
    ...line.split(' '),
    ...(/--store|^(bogus|bundles)/.test(line) ? [] : ['--store', root]),
  ];

  test.each(usage)('%s', async (line, says) => {
    const { code, stdout, stderr } = await runHere(argsOf(line));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(says);
    if (says !== '') expect(stderr).toMatch(/^ARGUMENT_INVALID: /);
  });

  test('with --json too, as one document', async () => {
    for (const [line, says] of usage.filter(([, text]) => text !== '')) {
      const { code, stdout } = await runHere([...argsOf(line), '--json']);
      const answer = JSON.parse(stdout);
      expect({ code, answer }, line).toEqual({
        code: 2,
        answer: { error: { code: 'ARGUMENT_INVALID', message: expect.stringMatching(says) } },
      });
    }
  });
});

const failures: [args: string, code: string, says: string][] = [
  ['inspect part.jpg --product kol', 'BUNDLE_NOT_FOUND', 'product kol: run "patchline fit"'],
  ['evaluate DIR --product kol', 'BUNDLE_NOT_FOUND', 'product kol'],
  ['bundles show kol v9', 'BUNDLE_NOT_FOUND', 'bundle v9 of product kol'],
  ['bundles rollback kol', 'BUNDLE_NOT_FOUND', 'product kol that was active before'],
  ['bundles diff kol v8 v9', 'BUNDLE_NOT_FOUND', 'bundle v8 of product kol'],
  ['fit --add --product kol', 'TOO_FEW_IMAGES', 'product kol that were reviewed good'],
  ['fit --add docs/images --product kol', 'BUNDLE_NOT_FOUND', 'product kol'],
  ['fit --add docs/images --base v7 --product kol', 'BUNDLE_NOT_FOUND', 'bundle v7 of product kol'],
  ['bundles activate kol v9', 'BUNDLE_NOT_FOUND', 'bundle v9 of product kol'],
  ['bundles threshold kol --severity 120', 'BUNDLE_NOT_FOUND', 'product kol: run "patchline fit"'],
  ['bundles threshold kol v9 --severity 120', 'BUNDLE_NOT_FOUND', 'bundle v9 of product kol'],
  ['fit /nowhere --product kol', 'DATASET_INVALID', '/nowhere'],
  ['attribute --model /nowhere.onnx --data x.npy --out d', 'MODEL_DAMAGED', '/nowhere.onnx'],
  ['fit --camera line-1', 'CAMERA_UNKNOWN', 'camera line-1'],
  ['fit --camera line-1 --product kol', 'TOO_FEW_IMAGES', ''],
  ['ingest /nowhere --camera line-1', 'IMAGE_NOT_FOUND', '/nowhere'],
  ['ingest . --camera line-1', 'QUEUE_UNREACHABLE', 'start `patchline up'],
  ['status', 'QUEUE_UNREACHABLE', 'start `patchline up'],
  ['failed list', 'QUEUE_UNREACHABLE', 'start `patchline up'],
  ['worker score', 'QUEUE_UNREACHABLE', 'start `patchline up'],
  ['reconcile', 'QUEUE_UNREACHABLE', 'start `patchline up'],
  ['explain --model /nowhere.onnx --input x.npy --list-layers', 'MODEL_DAMAGED', '/nowhere.onnx'],
  [
    'explain --model package.json --input x.npy --list-layers',
    'MODEL_DAMAGED',
    'Expected an ONNX model in package.json',
  ],
  [`explain ${net.replace('x.npy', 'y.npy')} --list-layers`, 'ARRAY_UNREADABLE', 'y.npy'],
  [`explain ${net.replace('x.npy', 'target.npy')} --list-layers`, 'SHAPE_MISMATCH', 'Expected float32'],
  [`explain ${net.replace('x.npy', 'x.png')} --list-layers`, 'IMAGE_NOT_FOUND', 'x.png'],
  ['doctor --config /nowhere.yaml', 'CONFIG_INVALID', '/nowhere.yaml'],
];

describe('a failure exits 1', () => {
  test.each(failures)('%s', async (line, expected, says) => {
    const args = [...line.split(' '), '--store', join(root, 'empty')];
    const { code, stdout, stderr } = await runHere(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(RegExp(`^${expected}: .*\n$`, 'm'));
    expect(stderr).toContain(says);
    const json = await runHere([...args, '--json']);
    const message = expect.stringContaining(says);
    expect({ code: json.code, answer: JSON.parse(json.stdout) }).toEqual({
      code: 1,
      answer: { error: { code: expected, message } },
    });
  });
});

test('the demo empties no directory but its own', async () => {
  const store = join(root, 'precious');
  await mkdir(store);
  await writeFile(join(store, 'file'), 'kept');
  const { code, stderr } = await runHere(['demo', '--exit', '--store', store]);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: expect.stringMatching(/^ARGUMENT_INVALID: Expected an empty dir/),
  });
  expect(await readFile(join(store, 'file'), 'utf8')).toBe('kept');
});

describe('as a process', () => {
  let fitted: FittedStore;
  let redis: EmbeddedRedis;
  let store: ObjectStore;
  let env: Record<string, string>;
  beforeAll(async () => {
    fitted = await createFittedStore(2, 1);
    store = await openStore(fitted.storeUrl);
    redis = await startEmbeddedRedis(fitted.storeUrl, { logger: createLogger('silent'), onRestart: () => {} });
    env = { PATCHLINE_STORE: fitted.storeUrl };
  });
  afterAll(async () => {
    await redis.stop();
    await fitted.remove();
  });
  const json = async (args: string[]) => JSON.parse((await runCommand([...args, '--json'], env)).stdout);
  const bundles = (...args: string[]) => runHere(['bundles', ...args, '--store', fitted.storeUrl]);

  test('it exits 0, 1 and 2, with the answer on stdout and what went wrong on stderr', async () => {
    const [done, failed, wrong] = await Promise.all([
      runCommand(['--version']),
      runCommand(['status'], { ...env, PATCHLINE_THREADS: 'two', PATCHLINE_TREADS: '2' }),
      runCommand(['status', '--bogus'], env),
    ]);
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    expect(done).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect(failed.stderr).toMatch(/^CONFIG_INVALID: threads: .*\nPATCHLINE_TREADS: no setting has this name\n$/);
    expect(wrong).toMatchObject({ code: 2, stdout: '' });
  });

  test('bundles are listed, shown and activated', async () => {
    const first = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
    const second = { ...first, version: 'v2', threshold: first.threshold + 1 };
    await store.put(bundleCardKey('plate', 'v2'), new TextEncoder().encode('Product plate, bundle v2\n'));
    await putJson(store, bundleKey('plate', 'v2'), second);
    expect(JSON.parse((await bundles('list', 'plate', '--json')).stdout)).toEqual([
      { ...first, active: true },
      { ...second, active: false },
    ]);
    const activated = await bundles('activate', 'plate', 'v2', '--json');
    expect(JSON.parse(activated.stdout)).toEqual({ product: 'plate', active: 'v2' });
    const list = /^ {2}v1 .* 20 images, int8 network, threshold \d.*\n\* v2 .*\n$/;
    expect((await bundles('list', 'plate')).stdout).toMatch(list);
    expect((await bundles('list', 'other')).stdout).toBe('no bundle\n');
    expect((await bundles('show', 'plate')).stdout).toBe('Product plate, bundle v2\n');
    expect((await bundles('show', 'plate', 'v1')).stdout).toMatch(/^Product plate, bundle v1, .*\n\nWhat it saw\n/);
    expect((await bundles('activate', 'plate', 'v1')).stdout).toBe('plate: v1 is active\n');
  });

  test('a threshold set by hand says what it would have done', async () => {
    const first = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
    const { code, stdout } = await bundles('threshold', 'plate', 'v1', '--severity', '120', '--no-activate', '--json');
    const change = JSON.parse(stdout);
    const version = expect.stringMatching(/^v\d+$/);
    expect({ code, change }).toMatchObject({ code: 0, change: { version, base: 'v1', severity: 120, active: false } });
    expect(change.before.threshold).toBe(first.threshold);
    expect(change.after.threshold).toBeCloseTo(first.median + 1.2 * (first.threshold - first.median), 9);
    expect(change.after.falseAlarms.count).toBeLessThanOrEqual(change.before.falseAlarms.count);
    const said = await bundles('threshold', 'plate', 'v1', '--severity', '1');
    expect(said.stdout).toMatch(/^plate: v\d+ is active; it is v1 with its threshold at severity 1\nthreshold +\d/);
    expect(said.stdout).toMatch(/of 20 held-out good images flagged: \d+, .* % \(95 %: .*\) -> \d+, /);
    expect((await bundles('show', 'plate')).stdout).toContain('That is severity 1 of v1, set by hand');
    expect((await bundles('activate', 'plate', 'v1')).code).toBe(0);
  });

  test('a bundle grows with --add before or behind the folder, and is compared with its base', async () => {
    const folder = join(fitted.images, 'test/good');
    const common = ['--product', 'plate', '--base', 'v1', '--no-activate', '--json'];
    const before = await runCommand(['fit', '--add', folder, ...common], env);
    expect(before.code, before.stderr).toBe(0);
    const first: Bundle = JSON.parse(before.stdout);
    expect(first).toMatchObject({ base: 'v1', images: 22 });
    expect(before.stderr).not.toContain('left out');
    const again = ['fit', folder, '--product', 'plate', '--add', '--base', first.version];
    expect(await runCommand(again, env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^TOO_FEW_IMAGES: .* 2 are in it already/m),
    });

    const { version } = first;
    expect((await bundles('list', 'plate')).stdout).toContain('22 images, grown from v1, int8 network');
    const { stdout } = await bundles('diff', 'plate', 'v1', version);
    expect(stdout).toMatch(
      RegExp(
        `^plate: v1 -> ${version}, which has grown from v1\nimages: 20 -> 22\n  2 added: part-\\d+.jpg, part-\\d+.jpg\nthreshold: `,
      ),
    );
    expect(stdout).toMatch(/\nbank rows: \d+ -> \d+\nheld-out good images flagged: \d+ of 20, .* -> \d+ of 22, /);
    const difference = JSON.parse((await bundles('diff', 'plate', version, 'v1', '--json')).stdout);
    expect(difference).toMatchObject({ from: version, to: 'v1', base: null, settings: {} });
    expect(difference.images).toMatchObject({
      from: 22,
      to: 20,
      added: [],
      removed: [expect.any(String), expect.any(String)],
    });
    const { thresholdOfFromByTo: onceThere, thresholdOfToByFrom: onceBack } = difference.severity;
    const severityBy = ({ median, threshold }: Bundle, score: number) =>
      (100 * (score - median)) / (threshold - median);
    const old = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
    expect(onceThere).toBeCloseTo(severityBy(old, first.threshold), 6);
    expect(onceBack).toBeCloseTo(severityBy(first, old.threshold), 6);
  });

  test('bundles are gone back from, and one that is damaged hides no other', async () => {
    const key = bundleKey('plate', 'v77');
    await store.put(key, new TextEncoder().encode('{"schema": 2,'));
    const [listed, json] = [await bundles('list', 'plate'), await bundles('list', 'plate', '--json')];
    expect([listed.code, json.code]).toEqual([0, 0]);
    expect(listed.stdout).toMatch(
      /^\* v1 .* images.*\n(.*\n)* {2}v77 +damaged: Expected a description of a bundle in .*v77/,
    );
    expect(JSON.parse(json.stdout).at(-1)).toMatchObject({ version: 'v77', active: false, damage: expect.any(String) });
    expect(await bundles('activate', 'plate', 'v77')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^BUNDLE_DAMAGED/),
    });
    await store.delete(key);

    await bundles('activate', 'plate', 'v2');
    expect((await bundles('rollback', 'plate')).stdout).toBe('plate: from v2 back to v1, which is active now\n');
    await bundles('activate', 'plate', 'v2');
    const back = await bundles('rollback', 'plate', '--json');
    expect(JSON.parse(back.stdout)).toEqual({ product: 'plate', from: 'v2', active: 'v1' });
  });

  test('status shows store, queues and products', async () => {
    const shown = await json(['status']);
    const counts = {
      waiting: 0,
      prioritized: 0,
      delayed: 0,
      active: 0,
      'waiting-children': 0,
      completed: 0,
      failed: 0,
    };
    expect(shown).toEqual({
      store: fitted.storeUrl,
      queues: redis.url,
      stages: stageNames.map((stage) => ({ stage, workers: 0, ...counts })),
      products: [{ product: 'plate', bundle: 'v1' }],
      ingests: [],
    });
    const { stdout } = await runCommand(['status'], env);
    expect(stdout).toMatch(
      /\nstage +workers +waiting .*\nscore +0 +0 .*\n(.*\n){3}finalize +0 .*\nproduct plate: bundle v1\n$/,
    );
  });

  test('nobody is shown the password of Redis', async (context) => {
    requireService('redis-server', context);
    const server = await startRedisServer();
    const redis = new Redis(server.url);
    await redis.config('SET', 'requirepass', 'p4ssword');
    redis.disconnect();
    const REDIS_URL = server.url.replace('//', '//:p4ssword@');
    const { stdout, stderr } = await runCommand(['status'], { ...env, REDIS_URL });
    expect(stdout).toContain(`queues ${server.url}\n`);
    expect(stdout + stderr).not.toContain('p4ssword');
    await server.stop();
  });

  test('evaluate answers with every figure that it promises, and writes a report whose links all lead somewhere', async () => {
    const out = join(fitted.images, '..', 'report');
    const evaluation = await json(['evaluate', fitted.images, '--product', 'plate', '--out', out]);
    expect(evaluation).toEqual(
      expect.objectContaining({
        product: 'plate',
        bundle: 'v1',
        images: 7,
        imageAuroc: expect.any(Number),
        pixelAuroc: expect.any(Number),
        aupro: expect.any(Number),
        f1Max: expect.any(Number),
        threshold: expect.any(Number),
        falseAlarmRate: expect.any(Number),
        missRate: expect.any(Number),
        classifierAuroc: expect.any(Number),
        riskAuroc: expect.any(Number),
        imagesPerSecond: expect.any(Number),
      }),
    );
    const { scores, ...saved } = JSON.parse(await readFile(join(out, 'report.json'), 'utf8'));
    expect(saved).toEqual(evaluation);
    expect(scores).toHaveLength(7);
    const page = await readFile(join(out, 'report.html'), 'utf8');
    const links = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, link]) => link!);
    expect(links).toEqual(expect.arrayContaining(['scores.svg', 'roc.svg', 'report.json', 'pictures/001-marked.png']));
    for (const link of links) expect((await readFile(join(out, link))).length, link).toBeGreaterThan(0);
  });

  type Diagnosis = { findings: { check: string; ok: boolean; found: string }[]; advice: string | null };
  const failing = ({ findings }: Diagnosis) => findings.filter(({ ok }) => !ok).map(({ check }) => check);

  test('doctor finds everything in order', async () => {
    const { code, stdout } = await runCommand(['doctor'], env);
    expect(code, stdout).toBe(0);
    const checks = stdout.split('\n').map((line) => line.slice(0, 21).trim());
    expect(checks).toEqual([
      'ok     node',
      'ok     store',
      'ok     redis',
      'ok     network float',
      'ok     network int8',
      'ok     network depth',
      expect.stringMatching(/^advice fit/),
      '',
    ]);
  });

  test('doctor names what is wrong and looks at the rest all the same', async (context) => {
    await writeFile(join(root, 'file'), '');
    const lost = await runCommand(['doctor', '--store', join(root, 'file', 'store'), '--json']);
    expect(lost.code).toBe(1);
    expect(failing(JSON.parse(lost.stdout))).toEqual(['store', 'redis']);
    requireService('redis-server', context);
    const evicting = await startRedisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
    const installation = await damagedInstallation();
    const found = await runCommand(['doctor', '--json'], { ...env, REDIS_URL: evicting.url }, installation);
    await evicting.stop();
    expect(found.code).toBe(1);
    const diagnosis: Diagnosis = JSON.parse(found.stdout);
    expect(failing(diagnosis)).toEqual(['redis', 'network int8']);
    expect(diagnosis.findings[2]!.found).toContain('allkeys-lru');
    expect(diagnosis.findings[4]!.found).toMatch(
      /Expected sha256 [0-9a-f]{64} for models\/efficientnet-lite2-int8.onnx/,
    );
    expect(diagnosis.advice).toBeNull();
  });

  /** This program beside a network file that was cut short. */
  async function damagedInstallation(): Promise<string> {
    const place = join(root, 'installation');
    await mkdir(join(place, 'models'), { recursive: true });
    for (const name of ['bin', 'dist', 'package.json']) await cp(name, join(place, name), { recursive: true });
    await symlink(resolve('node_modules'), join(place, 'node_modules'));
    for (const { file } of Object.values(networks)) await symlink(resolve('models', file), join(place, 'models', file));
    const { file } = networks.int8;
    await rm(join(place, 'models', file));
    await writeFile(join(place, 'models', file), (await readFile(join('models', file))).subarray(0, 1_000_000));
    return join(place, 'bin', 'patchline.cjs');
  }
});

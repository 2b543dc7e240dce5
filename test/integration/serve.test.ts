import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PatchlineClient } from '../../src/client.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';

const token = 'a-secret-of-this-line';
let fitted: FittedStore;
let root: string;
let up: CommandProcess;
let env: Record<string, string>;
const urlOf = (process: CommandProcess, word: string) =>
  new RegExp(`${word} (http://\\S+)`).exec(process.stderr())![1]!;

beforeAll(async () => {
  fitted = await createFittedStore(1, 1);
  root = await mkdtemp(join(tmpdir(), 'patchline-serve-'));
  env = { PATCHLINE_STORE: fitted.storeUrl, PATCHLINE_SERVE_PORT: '0' };
  up = startCommand(['up'], env);
  await up.printed('ready:');
});
afterAll(async () => {
  up.child.kill('SIGTERM');
  expect(await up.ended, up.stderr()).toBe(0);
  await fitted.remove();
  await rm(root, { recursive: true, force: true });
});

async function readPlate(kind: string): Promise<Uint8Array> {
  const folder = join(fitted.images, 'test', kind);
  const [name] = await readdir(folder);
  return await readFile(join(folder, name!));
}

test('up serves by configuration: a plate is posted, judged, explained and drawn', async () => {
  const url = urlOf(up, 'serving');
  const client = new PatchlineClient({ url });
  const good = await client.inspect(await readPlate('good'), { camera: 'line-1', wait: 'verdict' });
  expect(good.status).toBeNull();
  const plate = await readPlate('scratch');
  const result = await client.inspect(plate, { camera: 'line-1', wait: 'result' });
  expect(result).toMatchObject({ status: 'done', verdict: 'anomalous' });
  expect(await client.image(result.inspectionId)).toEqual(new Uint8Array(plate));
  const drawn = await fetch(`${url}/v1/inspections/${result.inspectionId}/artefacts/waterfall.svg`);
  expect([drawn.headers.get('content-type'), await drawn.text()]).toEqual([
    'image/svg+xml',
    expect.stringMatching(/^<svg[\s\S]+<\/svg>\s*$/),
  ]);
  const again = await fetch(`${url}/v1/inspections/${result.inspectionId}/artefacts/waterfall.svg`, {
    headers: { 'if-none-match': drawn.headers.get('etag')! },
  });
  expect(again.status).toBe(304);
  const listed: string[] = [];
  for await (const { inspectionId } of client.inspections({ verdict: 'anomalous' })) listed.push(inspectionId);
  expect(listed).toContain(result.inspectionId);
});

test('serve runs by itself, wants its token, never logs it and ends with SIGTERM', async () => {
  const serve = startCommand(['serve', '--port', '0', '--host', '0.0.0.0', '--json'], {
    ...env,
    PATCHLINE_SERVE_TOKEN: token,
    PATCHLINE_LOG_LEVEL: 'trace',
  });
  await serve.printed('ready:');
  const url = urlOf(serve, 'ready:').replace('0.0.0.0', '127.0.0.1');
  const client = new PatchlineClient({ url, token });
  const { verdict } = await client.inspect(await readPlate('good'), { camera: 'line-2', wait: 'verdict' });
  expect(verdict).not.toBeNull();
  await expect(new PatchlineClient({ url }).result('nope')).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
  const events = await fetch(`${url}/v1/events`, { headers: { authorization: `Bearer ${token}` } });
  serve.child.kill('SIGTERM');
  expect(await events.text()).toMatch(/^retry: /); // to its end
  expect(await serve.ended).toBe(0);
  expect(JSON.parse(serve.stdout())).toEqual({ url: urlOf(serve, 'ready:') });
  expect(serve.stderr()).toContain('/v1/images');
  expect(serve.stderr() + serve.stdout()).not.toContain(token);
});

test('without a token it is not served to other machines, and a port that is taken is said', async () => {
  const open = await runCommand(['serve', '--host', '0.0.0.0', '--port', '0'], env);
  expect([open.code, open.stderr]).toEqual([1, expect.stringMatching(/^CONFIG_INVALID: .*PATCHLINE_SERVE_TOKEN/)]);
  const { port } = new URL(urlOf(up, 'serving'));
  const taken = await runCommand(['serve', '--port', port], env);
  expect([taken.code, taken.stderr]).toEqual([1, expect.stringMatching(/^ADDRESS_UNAVAILABLE: .*EADDRINUSE/)]);
  const other = await runCommand(['up', '--store', root], { PATCHLINE_SERVE_PORT: port });
  expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/^ADDRESS_UNAVAILABLE: /)]);
});

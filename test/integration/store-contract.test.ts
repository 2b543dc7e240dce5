import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../../src/shared/free-port.js';
import { compareKeys } from '../../src/shared/store/directory-listing.js';
import { getJson, listAll, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { bucketOf } from '../../src/shared/store/s3-client.js';
import { getS3Object, listS3, putObject } from '../../src/shared/store/s3-objects.js';
import { type S3Kind, type S3Server, startS3Server } from '../helpers/s3-server.js';
import { locateService, requireService } from '../helpers/services.js';

const text = (value: string) => new TextEncoder().encode(value);
const read = async (store: ObjectStore, key: string) => new TextDecoder().decode(await store.get(key));
const filled = (length: number, value: number) => new Uint8Array(length).fill(value);

async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys = [];
  for await (const { key } of listAll(store, prefix)) keys.push(key);
  return keys;
}

/** Runs the tasks at most 32 at a time. */
async function inParallel<T>(items: T[], task: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      for (const item of queue) await task(item);
    }),
  );
}

interface Place {
  url: string;
  /** Whether putIfAbsent holds between processes. */
  conditionalPuts: boolean;
  /** Whether size and metadata of one answer are of one version; versitygw reads them one after the other. */
  consistentHead: boolean;
  remove(): Promise<void>;
}

async function directoryPlace(): Promise<Place> {
  const url = await mkdtemp(join(tmpdir(), 'patchline-store-'));
  return { url, conditionalPuts: true, consistentHead: true, remove: () => rm(url, { recursive: true }) };
}

async function s3Place(kind: S3Kind): Promise<Place> {
  const { url, env, stop } = await startS3Server(kind);
  Object.assign(process.env, env);
  return { url, conditionalPuts: kind !== 'fauxqs', consistentHead: kind === 'fauxqs', remove: stop };
}

describe('a directory', () => contract(directoryPlace));
describe('S3 on fauxqs', () => contract(() => s3Place('fauxqs')));
describe('S3 on versitygw', () => {
  beforeEach((context) => requireService('versitygw', context));
  contract(() => s3Place('versitygw'), locateService('versitygw') !== undefined);
});

function contract(open: () => Promise<Place>, present = true) {
  let place: Place;
  let store: ObjectStore;
  beforeAll(async () => {
    if (!present) return;
    place = await open();
    store = await openStore(place.url);
  });
  afterAll(() => place?.remove());

  test('opening tells where it is and leaves nothing behind', async () => {
    expect(store.url).toBe(place.url);
    expect(store.conditionalPuts).toBe(place.conditionalPuts);
    const opened = await Promise.all(Array.from({ length: 8 }, () => openStore(place.url)));
    expect(opened.map(({ conditionalPuts }) => conditionalPuts)).toEqual(Array(8).fill(place.conditionalPuts));
    expect(await keysUnder(store, '')).toEqual([]);
    if (!place.url.startsWith('s3:')) return;
    for await (const { url } of listS3(place.url)) throw new Error(`${url} was left behind`);
  });

  test('an object is read back as it was put, whole or in part', async () => {
    const before = Date.now();
    await store.put('plain/a.bin', new Uint8Array([1, 2, 3, 4, 5]));
    expect([...(await store.get('plain/a.bin'))]).toEqual([1, 2, 3, 4, 5]);
    const parts: [number, number, number[]][] = [
      [0, 2, [1, 2]],
      [1, 3, [2, 3, 4]],
      [3, 99, [4, 5]],
      [5, 1, []],
      [77, 1, []],
      [2, 0, []],
    ];
    for (const [start, length, bytes] of parts) {
      expect([...(await store.getRange('plain/a.bin', start, length))], `${length} from ${start}`).toEqual(bytes);
    }
    const head = await store.head('plain/a.bin');
    expect(head).toMatchObject({ key: 'plain/a.bin', size: 5, metadata: {} });
    expect(Math.abs(head!.modifiedAt.getTime() - before)).toBeLessThan(60_000);
  });

  test('a put over an object replaces it', async () => {
    await store.put('over/a', text('a longer first version'));
    await store.put('over/a', text('second'));
    expect(await read(store, 'over/a')).toBe('second');
    expect((await store.head('over/a'))!.size).toBe(6);
  });

  test('JSON is read back, and undefined where there is none', async () => {
    await putJson(store, 'json/a.json', { ä: [1, null] });
    expect(await getJson(store, 'json/a.json')).toEqual({ ä: [1, null] });
    expect(await getJson(store, 'json/b.json')).toBeUndefined();
  });

  test('a missing key is OBJECT_NOT_FOUND, for head undefined, for delete nothing', async () => {
    await store.put('missing/here', text('x'));
    for (const key of ['missing/a', 'missing/here-not', 'nowhere/at/all', 'missing']) {
      const notFound = { code: 'OBJECT_NOT_FOUND', message: expect.stringContaining(key) };
      await expect(store.get(key)).rejects.toMatchObject(notFound);
      await expect(store.getRange(key, 0, 1)).rejects.toMatchObject(notFound);
      await expect(store.getRange(key, 0, 0)).rejects.toMatchObject(notFound);
      await expect(store.setMetadata(key, { a: 'b' })).rejects.toMatchObject(notFound);
      expect(await store.head(key)).toBeUndefined();
      await store.delete(key);
    }
    expect(await keysUnder(store, 'missing/')).toEqual(['missing/here']);
  });

  test('a deleted object is gone, its neighbours are not', async () => {
    await store.put('gone/a/b', text('1'), { metadata: { a: 'b' } });
    await store.put('gone/a-c', text('2'));
    await store.delete('gone/a/b');
    expect(await store.head('gone/a/b')).toBeUndefined();
    expect(await keysUnder(store, 'gone/')).toEqual(['gone/a-c']);
    await store.put('gone/a/b', text('3'));
    expect((await store.head('gone/a/b'))!.metadata).toEqual({});
  });

  test('objects of 0 bytes and of 20 MB', async () => {
    await store.put('size/none', new Uint8Array(0));
    expect((await store.get('size/none')).length).toBe(0);
    expect((await store.getRange('size/none', 0, 10)).length).toBe(0);
    expect((await store.head('size/none'))!.size).toBe(0);
    const large = Uint8Array.from({ length: 20_000_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
    await store.put('size/large', large);
    expect(Buffer.compare(await store.get('size/large'), large)).toBe(0);
    expect(Buffer.compare(await store.getRange('size/large', 19_999_000, 5000), large.subarray(19_999_000))).toBe(0);
  });

  const odd = [
    'with space/a b .txt',
    'plus+/a+b',
    'percent%/100%25 %2F',
    'query?a=b/c?d',
    'hash#/#1',
    'equals=/x=y&z;k',
    'umlaut/Prüfung Größe.png',
    'combining/u\u0308.png',
    'japanese/検査-画像.png',
    'emoji/\u{1f529}\u{1f9f2}',
    'quotes/"a\'b`',
    'brackets/[a]{b}(c)<d>',
    'signs/~!@$^*,:|',
    'tilde~',
    'trailing dot./a.',
    `long/${'n'.repeat(240)}/${'ä'.repeat(120)}`,
  ];
  test.each(odd)('the key %s', async (key) => {
    await store.put(`odd/${key}`, text(key), { metadata: { name: key.slice(0, 50) } });
    expect(await read(store, `odd/${key}`)).toBe(key);
    expect((await store.head(`odd/${key}`))!.metadata).toEqual({ name: key.slice(0, 50) });
    await store.setMetadata(`odd/${key}`, { other: 'x' });
    expect((await store.head(`odd/${key}`))!.metadata).toEqual({ other: 'x' });
    expect(await keysUnder(store, `odd/${key}`)).toEqual([`odd/${key}`]);
    expect(await keysUnder(store, `odd/${key.slice(0, key.indexOf('/') + 1)}`)).toContain(`odd/${key}`);
    await store.delete(`odd/${key}`);
    expect(await store.head(`odd/${key}`)).toBeUndefined();
  });

  const invalid = [
    '',
    '/',
    '/a',
    'a/',
    'a//b',
    '.',
    '..',
    'a/../b',
    './a',
    '.a',
    'a/.b',
    'a\\b',
    'a\nb',
    'a\0b',
    'a\ud800b',
    'redis.json',
    'x'.repeat(241),
    'a/'.repeat(460),
  ];
  test.each(invalid)('the key %j is KEY_INVALID', async (key) => {
    const refused = { code: 'KEY_INVALID', message: expect.stringContaining(JSON.stringify(key)) };
    await expect(store.put(key, text('x'))).rejects.toMatchObject(refused);
    await expect(store.putIfAbsent(key, text('x'))).rejects.toMatchObject(refused);
    await expect(store.get(key)).rejects.toMatchObject(refused);
    await expect(store.getRange(key, 0, 1)).rejects.toMatchObject(refused);
    await expect(store.head(key)).rejects.toMatchObject(refused);
    await expect(store.setMetadata(key, {})).rejects.toMatchObject(refused);
    await expect(store.delete(key)).rejects.toMatchObject(refused);
  });

  test('keys come in ascending order of their UTF-8 bytes, in pages', async () => {
    const marks = ['-', '.', '/', '0', 'A', 'Z', '_', 'a', 'z', 'ä', '\uffee', '\u{1f529}'];
    const keys = marks.flatMap((mark) => Array.from({ length: 125 }, (_, i) => `page/n${mark}${i}`));
    expect(keys.length).toBe(1500);
    await inParallel(keys, (key) => store.put(key, text(key)));
    const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    expect(await keysUnder(store, 'page/')).toEqual(sorted);

    const pages: string[][] = [];
    let after: string | undefined;
    do {
      const page = await store.list('page/', { after, limit: 400 });
      pages.push(page.objects.map(({ key }) => key));
      after = page.next;
    } while (after !== undefined);
    expect(pages.flat()).toEqual(sorted);
    expect(pages.slice(0, 3).map((page) => page.length)).toEqual([400, 400, 400]);

    const whole = await store.list('page/');
    expect(whole.objects.length).toBe(1000);
    expect(whole.next).toBe(sorted[999]);
    expect(whole.objects[7]).toMatchObject({ key: sorted[7], size: text(sorted[7]!).length });
  }, 120_000);

  test('a listing narrows to its prefix and to what follows `after`', async () => {
    const keys = ['n/a-b', 'n/a.b', 'n/a/b', 'n/a/c/d', 'n/a0', 'n/b/a', 'n/b/b', 'na'];
    await inParallel(keys, (key) => store.put(key, text(key)));
    const list = async (prefix: string, after?: string, limit?: number) =>
      (await store.list(prefix, { after, limit })).objects.map(({ key }) => key);
    expect(await list('n/')).toEqual(keys.slice(0, 7));
    expect(await list('n/a')).toEqual(keys.slice(0, 5));
    expect(await list('n/a/')).toEqual(['n/a/b', 'n/a/c/d']);
    expect(await list('n/a/b')).toEqual(['n/a/b']);
    expect(await list('n/x')).toEqual([]);
    expect(await list('nothing/here/')).toEqual([]);
    expect(await list('n/', 'n/a.b')).toEqual(keys.slice(2, 7));
    expect(await list('n/', 'n/a/b')).toEqual(keys.slice(3, 7));
    expect(await list('n/', 'n/a/b', 2)).toEqual(keys.slice(3, 5));
    expect(await list('n/', 'n/a/zzz')).toEqual(keys.slice(4, 7)); // `after` need not exist
    expect(await list('n/', 'n/b')).toEqual(keys.slice(5, 7));
    expect(await list('n/', 'zzz')).toEqual([]);
    expect(await list('n/', 'm')).toEqual(keys.slice(0, 7));
  });

  test('metadata comes back, is replaced as a whole and leaves with the next put', async () => {
    const metadata = {
      'captured-at': '2026-11-21T08:00:00Z',
      note: 'Größe 100 % 検査 \u{1f529}\nzweite Zeile',
      b2: ' a ',
    };
    await store.put('meta/a', text('first'), { metadata, contentType: 'text/plain' });
    expect((await store.head('meta/a'))!.metadata).toEqual(metadata);
    await store.setMetadata('meta/a', { collected: 'yes' });
    expect((await store.head('meta/a'))!.metadata).toEqual({ collected: 'yes' });
    expect(await read(store, 'meta/a')).toBe('first');
    await store.setMetadata('meta/a', {});
    expect((await store.head('meta/a'))!.metadata).toEqual({});
    await store.put('meta/a', text('second'), { metadata });
    await store.put('meta/a', text('third'));
    expect((await store.head('meta/a'))!.metadata).toEqual({});
    expect(await store.putIfAbsent('meta/b', text('b'), { metadata })).toBe(true);
    expect(await store.putIfAbsent('meta/b', text('c'), { metadata: { other: 'x' } })).toBe(false);
    expect((await store.head('meta/b'))!.metadata).toEqual(metadata);
    expect(await keysUnder(store, 'meta/')).toEqual(['meta/a', 'meta/b']);
  });

  test('metadata that a store could not hold is METADATA_INVALID', async () => {
    const wrong: Record<string, string>[] = [{ capturedAt: 'x' }, { 'a b': 'x' }, { a: '' }, { a: 'ä'.repeat(400) }];
    for (const metadata of wrong) {
      const refused = { code: 'METADATA_INVALID' };
      await expect(store.put('meta/wrong', text('x'), { metadata })).rejects.toMatchObject(refused);
      await expect(store.putIfAbsent('meta/wrong', text('x'), { metadata })).rejects.toMatchObject(refused);
      await expect(store.setMetadata('meta/wrong', metadata)).rejects.toMatchObject(refused);
    }
    expect(await store.head('meta/wrong')).toBeUndefined();
  });

  test('one of 20 racing put-if-absent wins, and what it put stays', async () => {
    for (let round = 0; round < 5; round++) {
      const key = `race/${round}`;
      const writers = Array.from({ length: 20 }, (_, i) => i);
      const put = (i: number) => store.putIfAbsent(key, filled(1000 + i, i), { metadata: { writer: `${i}` } });
      const won = await Promise.all(writers.map(put));
      const winners = writers.filter((i) => won[i]);
      expect(winners).toHaveLength(1);
      expect([...(await store.get(key))]).toEqual([...filled(1000 + winners[0]!, winners[0]!)]);
      expect((await store.head(key))!.metadata).toEqual({ writer: `${winners[0]}` });
    }
  });

  test('two writers at once and a reader: always one whole version with its metadata', async () => {
    const key = 'versions/a';
    const put = (i: number) => store.put(key, filled(50_000 + i, i), { metadata: { version: `${i}` } });
    await put(0);
    let writing = true;
    const check = (bytes: Uint8Array) => expect(bytes.every((byte) => byte === bytes.length - 50_000)).toBe(true);
    const reader = async () => {
      for (let reads = 0; writing || reads === 0; reads++) {
        check(await store.get(key));
        const { size, metadata } = (await store.head(key))!;
        if (place.consistentHead) expect(metadata).toEqual({ version: `${size - 50_000}` });
      }
    };
    const writer = async (first: number) => {
      for (let i = first; i < 60; i += 2) await put(i);
    };
    const writers = Promise.all([writer(1), writer(2)]).finally(() => {
      writing = false;
    });
    await Promise.all([writers, reader(), reader()]);
    check(await store.get(key));
    expect([58, 59]).toContain((await store.get(key))[0]);
  });

  test('after two writers at once, bytes and metadata are those of one of them', async () => {
    for (let round = 0; round < 40; round++) {
      const key = `pairs/${round % 4}`;
      const sizes = [1, 2, 3].map((i) => round * 10 + i);
      const put = (size: number) => store.put(key, filled(size, 7), size % 2 ? { metadata: { size: `${size}` } } : {});
      await Promise.all(sizes.map(put));
      const { size, metadata } = (await store.head(key))!;
      expect(sizes).toContain(size);
      expect(metadata).toEqual(size % 2 ? { size: `${size}` } : {});
    }
  });

  test('writers and deleters of one folder do not disturb each other', async () => {
    const churn = async (name: string) => {
      for (let i = 0; i < 25; i++) {
        await store.put(`churn/deep/er/${name}`, text(name), { metadata: { name } });
        expect(await read(store, `churn/deep/er/${name}`)).toBe(name);
        await store.delete(`churn/deep/er/${name}`);
      }
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(churn));
    expect(await keysUnder(store, 'churn/')).toEqual([]);
  });
}

describe('a store that cannot be used', () => {
  const refused = (parts: string[], retryable: boolean) => ({
    code: 'STORE_UNREACHABLE',
    retryable,
    message: expect.stringMatching(new RegExp(parts.map((part) => part.replaceAll('.', '\\.')).join('.*'), 's')),
  });
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server('fauxqs');
    Object.assign(process.env, server.env);
  });
  afterAll(() => server.stop());

  test('S3 that does not answer names endpoint, bucket and reason', async () => {
    process.env.S3_ENDPOINT = `http://127.0.0.1:${await freePort()}`;
    const unreachable = refused(['some-bucket', process.env.S3_ENDPOINT, 'ECONNREFUSED'], true);
    await expect(openStore('s3://some-bucket/x')).rejects.toMatchObject(unreachable);
    await expect(getS3Object('s3://some-bucket/x')).rejects.toMatchObject(unreachable);
    await expect(listS3('s3://some-bucket/x').next()).rejects.toMatchObject(unreachable);
  });

  test('a bucket that does not exist', async () => {
    process.env.S3_ENDPOINT = server.env.S3_ENDPOINT;
    const missing = refused(['no-such-bucket', 'NoSuchBucket'], false);
    await expect(openStore('s3://no-such-bucket/x')).rejects.toMatchObject(missing);
    await expect(getS3Object('s3://no-such-bucket/x')).rejects.toMatchObject(missing);
    await expect(listS3('s3://no-such-bucket/x').next()).rejects.toMatchObject(missing);
  });

  test('S3 that fails may be asked again, one that refuses not', async () => {
    for (const [status, retryable] of [
      [503, true],
      [500, true],
      [403, false],
      [400, false],
    ] as const) {
      const failing = createServer((request, response) => {
        request.resume().on('end', () => response.writeHead(status).end());
      }).listen(0, '127.0.0.1');
      await new Promise((done) => failing.once('listening', done));
      process.env.S3_ENDPOINT = `http://127.0.0.1:${(failing.address() as AddressInfo).port}`;
      await expect(openStore('s3://some-bucket')).rejects.toMatchObject(
        refused(['some-bucket', process.env.S3_ENDPOINT, `HTTP ${status}`], retryable),
      );
      failing.closeAllConnections();
      failing.close();
    }
  });

  test('a wrong secret is refused', async (context) => {
    requireService('versitygw', context);
    const real = await startS3Server('versitygw');
    Object.assign(process.env, real.env, { AWS_SECRET_ACCESS_KEY: 'wrong' });
    try {
      await expect(openStore(real.url)).rejects.toMatchObject(refused([real.env.S3_ENDPOINT!, 'HTTP 403'], false));
    } finally {
      await real.stop();
      Object.assign(process.env, server.env);
    }
  });

  test('an address that is none', async () => {
    for (const url of ['s3://', 's3://a', 's3:///key', 's3://Upper/key']) {
      await expect(openStore(url)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    }
  });

  test('a directory below a file', async () => {
    const place = await directoryPlace();
    await writeFile(join(place.url, 'file'), '');
    await expect(openStore(join(place.url, 'file', 'store'))).rejects.toMatchObject(
      refused([join(place.url, 'file', 'store')], false),
    );
    await place.remove();
  });
});

describe('objects at any s3:// address', () => {
  let server: S3Server;
  let store: ObjectStore;
  beforeAll(async () => {
    server = await startS3Server('fauxqs');
    Object.assign(process.env, server.env);
    store = await openStore(server.url);
  });
  afterAll(() => server.stop());

  test('are listed and read', async () => {
    const keys = ['train/good/a b.png', 'train/good/ä.png', 'train-2/c.png'];
    for (const key of keys) await store.put(key, text(key));
    const urls = [];
    for await (const { url, size } of listS3(`${server.url}/train/`)) {
      urls.push(url);
      expect(size).toBe((await getS3Object(url)).length);
    }
    expect(urls).toEqual([`${server.url}/${keys[0]}`, `${server.url}/${keys[1]}`]);
    expect(new TextDecoder().decode(await getS3Object(urls[1]!))).toBe(keys[1]);
    const [, bucket, prefix] = server.url.match(/^s3:\/\/([^/]+)\/(.*)$/)!;
    for (const key of ['train/', 'train/.hidden', 'train//a']) {
      await putObject(bucketOf(bucket!), `${prefix}/${key}`, text('from elsewhere'), {});
    }
    expect(await keysUnder(store, 'train/')).toEqual(keys.slice(0, 2)); // no other keys than those that can be read

    const missing = { code: 'OBJECT_NOT_FOUND', message: expect.stringContaining('train/none') };
    await expect(getS3Object(`${server.url}/train/none`)).rejects.toMatchObject(missing);
  });
});

test('keys compare as their UTF-8 bytes do', () => {
  const keys = ['', 'a', 'a-', 'a.', 'a/', 'a0', 'aä', 'a\uffee', 'a\u{10000}', 'a\u{1f529}', 'b'];
  for (const a of keys) {
    for (const b of keys) {
      expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }
  }
});

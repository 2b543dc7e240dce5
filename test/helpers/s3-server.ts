import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { type BuildAppOptions, buildApp } from 'fauxqs';
import { freePort } from '../../src/shared/free-port.js';
import { compareKeys } from '../../src/shared/store/directory-listing.js';
import { locateService, startProcess } from './services.js';

export type S3Kind = 'fauxqs' | 'versitygw';

export interface S3Server {
  /** s3://bucket/prefix, unique; the bucket exists. */
  url: string;
  /** What a process needs to reach it: S3_ENDPOINT and AWS_*. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

const credentials = { accessKeyId: 'patchline-test', secretAccessKey: 'patchline-test-secret' };

/** Starts an S3 server with one empty bucket. fauxqs runs in this process, versitygw as its own over a temporary directory. */
export async function startS3Server(kind: S3Kind): Promise<S3Server> {
  const { endpoint, stop } = await (kind === 'fauxqs' ? startFauxqs() : startVersitygw());
  const env = {
    S3_ENDPOINT: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  const bucket = `patchline-${randomUUID().slice(0, 8)}`;
  const client = new S3Client({ endpoint, region: env.AWS_REGION, credentials, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  return { url: `s3://${bucket}/store-${randomUUID().slice(0, 8)}`, env, stop };
}

interface FauxqsObjects {
  listObjects(bucket: string, options?: { prefix?: string; maxKeys?: number; startAfter?: string }): unknown;
  buckets: Map<string, Map<string, { key: string }>>;
}

/**
 * fauxqs with two of its shortcomings mended: it lists keys in the order of the machine's language, which S3 does not and which
 * loses keys between pages, and it refuses bodies over 11 MiB.
 */
async function startFauxqs() {
  const { S3Store } = (await import(new URL('s3/s3Store.js', import.meta.resolve('fauxqs')).href)) as {
    S3Store: new () => FauxqsObjects;
  };
  class OrderedS3Store extends S3Store {
    override listObjects(bucket: string, { prefix = '', maxKeys = 1000, startAfter = '' } = {}) {
      const held = this.buckets.get(bucket);
      if (!held) return super.listObjects(bucket); // its own error
      const objects = [...held.values()]
        .filter(({ key }) => key.startsWith(prefix) && compareKeys(key, startAfter) > 0)
        .sort((a, b) => compareKeys(a.key, b.key));
      return { objects: objects.slice(0, maxKeys), commonPrefixes: [], isTruncated: objects.length > maxKeys };
    }
  }
  const stores = { s3Store: new OrderedS3Store() } as unknown as BuildAppOptions['stores'];
  const app = buildApp({ logger: false, stores });
  app.removeContentTypeParser('*');
  app.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: 2 ** 26 }, (_request, body, done) => done(null, body));
  const endpoint = await app.listen({ port: 0, host: '127.0.0.1' });
  return { endpoint, stop: () => app.close().then(() => undefined) };
}

async function startVersitygw() {
  const program = locateService('versitygw');
  if (!program) throw new Error('versitygw is not installed');
  const directory = await mkdtemp(join(tmpdir(), 'patchline-versitygw-'));
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const { accessKeyId, secretAccessKey } = credentials;
  const args = ['--quiet', '--access', accessKeyId, '--secret', secretAccessKey, '--port', `127.0.0.1:${port}`];
  const { kill } = await startProcess(program, [...args, 'posix', directory], () => answers(endpoint));
  const stop = async () => {
    await kill();
    await rm(directory, { recursive: true, force: true });
  };
  return { endpoint, stop };
}

/** Whether a web server answers at all, be it with a refusal. */
async function answers(endpoint: string): Promise<boolean> {
  return fetch(endpoint).then(
    () => true,
    () => false,
  );
}

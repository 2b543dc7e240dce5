import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { GenericContainer, type StartedTestContainer, Wait } from 'testcontainers';
import { onTestFinished, type TestContext } from 'vitest';
import { messageOf } from '../../src/shared/errors.js';
import { readComposeServices } from './compose-file.js';

/**
 * Starts a container that ends with the test. Skips the test, saying why, where containers cannot run; in CI that is a
 * failure, unless TEST_NO_CONTAINERS gives the reason why no engine can run on this machine (`.ci/containers` finds it out).
 */
async function startContainer(container: GenericContainer, context: TestContext): Promise<StartedTestContainer> {
  if (process.env.TEST_NO_CONTAINERS) context.skip(process.env.TEST_NO_CONTAINERS);
  try {
    const started = await container.start();
    onTestFinished(async () => void (await started.stop()));
    return started;
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    return context.skip(`no container could be started: ${messageOf(error)}`);
  }
}

/** A service of docker-compose.yml, from another image where the variable names one. */
function composeContainer(name: string, variable: string): GenericContainer {
  const { image, command } = readComposeServices()[name]!;
  return new GenericContainer(process.env[variable] ?? image).withCommand(command!);
}

const addressOf = (container: StartedTestContainer, port: number): string =>
  `${container.getHost()}:${container.getMappedPort(port)}`;

/** Redis and MinIO with a bucket, started as docker-compose.yml starts them; returns the environment that leads to them. */
export async function startContainers(context: TestContext): Promise<Record<string, string>> {
  const credentials = { accessKeyId: 'patchline', secretAccessKey: 'patchline-secret' };
  const region = 'us-east-1';
  const redis = composeContainer('redis', 'TEST_REDIS_IMAGE')
    .withExposedPorts(6379)
    .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'));
  const minio = composeContainer('minio', 'TEST_S3_IMAGE')
    .withEnvironment({ MINIO_ROOT_USER: credentials.accessKeyId, MINIO_ROOT_PASSWORD: credentials.secretAccessKey })
    .withExposedPorts(9000)
    .withWaitStrategy(Wait.forHttp('/', 9000).forStatusCodeMatching(() => true)); // any answer, be it a refusal
  const redisUrl = `redis://${addressOf(await startContainer(redis, context), 6379)}`;
  const endpoint = `http://${addressOf(await startContainer(minio, context), 9000)}`;

  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true });
  await client.send(new CreateBucketCommand({ Bucket: 'patchline' }));
  client.destroy();
  return {
    REDIS_URL: redisUrl,
    S3_ENDPOINT: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    PATCHLINE_STORE: 's3://patchline/line',
  };
}

import { existsSync, readFileSync } from 'node:fs';
import { DCLinter } from 'dclint';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/shared/config.js';
import { stageNames } from '../../src/shared/contracts.js';
import { readComposeServices } from '../helpers/compose-file.js';

const services = readComposeServices();
const composeFile = readFileSync('docker-compose.yml', 'utf8');
const dockerfile = readFileSync('Dockerfile', 'utf8');
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const exactTag = /:(v?\d+\.\d+\.\d+(-[a-z-]+)?|RELEASE\.[\dTZ-]+)$/;

/** Variables of docker-compose.yml with their default; those that must be set have none. */
const usedVariables = new Map(
  [...composeFile.matchAll(/\$\{(\w+)(?::-([^}]*)|:\?[^}]*)\}/g)].map(([, name, value = '']) => [name!, value]),
);

/** A setting in docker-compose.yml, with the default of each variable in it. */
const withDefaults = (text: string) => text.replace(/\$\{(\w+)[^}]*\}/g, (_, name) => usedVariables.get(name)!);

test('docker-compose.yml passes the linter', () => {
  const order = { 'service-keys-order': 0, 'services-alphabetical-order': 0 } as const; // they stand in the order of the flow
  const linter = new DCLinter({ rules: order, quiet: false, debug: false, exclude: [] });
  const [result] = linter.lintFiles(['docker-compose.yml'], false);
  expect(
    result!.messages.map(({ line, message }: { line: number; message: string }) => `line ${line}: ${message}`),
  ).toEqual([]);
});

test('each stage, history and sinks have a service that works on them alone and comes back after a crash', () => {
  const pools = Object.entries(services).filter(([, { command }]) => command?.[0] === 'worker');
  expect(pools.map(([name]) => name)).toEqual([...stageNames, 'history', 'sinks']);
  for (const [name, { command, restart }] of pools) {
    expect(command).toEqual(['worker', name]);
    expect(restart).toBe('unless-stopped');
  }
});

test('Redis keeps every job, in memory and on disk', () => {
  const settings = services.redis!.command!.join(' ');
  expect(settings).toContain('--maxmemory-policy noeviction');
  expect(settings).toContain('--appendonly yes --appendfsync everysec');
});

test('the servers are checked for health, exactly versioned and closed to other machines', () => {
  for (const name of ['redis', 'minio']) expect(services[name]!.healthcheck!.test[0]).toBe('CMD');
  for (const { image } of Object.values(services)) expect(image).toMatch(exactTag);
  for (const port of Object.values(services).flatMap(({ ports }) => ports ?? []))
    expect(port).toMatch(/^127\.0\.0\.1:/);
});

test('.env.example explains every variable of docker-compose.yml, with its default, and no other', () => {
  const blocks = readFileSync('.env.example', 'utf8').trimEnd().split('\n');
  const given = blocks.filter((line) => !line.startsWith('#') && line !== '').map((line) => line.split('=', 2));
  expect(Object.fromEntries(given)).toEqual(Object.fromEntries(usedVariables));
  const unexplained = blocks.filter((line, index) => line.includes('=') && blocks[index - 1] === '');
  expect(unexplained).toEqual([]);
});

test('patchline takes every setting that its services get', async () => {
  const own = Object.values(services).filter(({ build }) => build !== undefined);
  expect(own.length).toBe(stageNames.length + 5);
  for (const { image, environment } of own) {
    expect(image).toBe(`patchline:${version}`);
    const defaults = Object.entries(environment!).map(([name, text]) => [name, withDefaults(text)]);
    const config = await loadConfig(undefined, Object.fromEntries(defaults));
    expect(config).toMatchObject({ explain: 'flagged', threads: 2 });
  }
});

test('the image is built from exact versions and carries what it runs alone', () => {
  expect(/^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile)![1]).toMatch(exactTag);
  expect(dockerfile.match(/^FROM (?!\$\{NODE_IMAGE\}( AS build)?$).*$/gm)).toBeNull();
  const shipped = dockerfile.slice(dockerfile.lastIndexOf('FROM '));
  expect(shipped).not.toMatch(/\bsrc\b|npm/);
  expect(shipped).toMatch(/^USER node$/m);
  expect(shipped).toMatch(/^ENTRYPOINT \["patchline"\]$/m);
  expect(shipped).toMatch(/^HEALTHCHECK /m);
  expect(shipped).toContain('ORT_DISABLE_TELEMETRY=1');
});

test('the image has pool threads for two decodes on each compute thread', () => {
  const poolThreads = Number(/UV_THREADPOOL_SIZE=(\d+)/.exec(dockerfile)![1]);
  expect(poolThreads).toBeGreaterThanOrEqual(2 * Number(usedVariables.get('THREADS')));
});

test('what the Dockerfile copies exists and reaches the builder', () => {
  const allowed = readFileSync('.dockerignore', 'utf8')
    .match(/^!.*$/gm)!
    .map((line) => line.slice(1));
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths]) => paths!.split(' '));
  expect([...new Set(copied)].toSorted()).toEqual(allowed.toSorted());
  expect(copied.filter((path) => !existsSync(path))).toEqual([]);
});

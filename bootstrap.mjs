// What `npm start`, `npm test` and `npm run bench` run: installs, builds and goes on. It has no dependency, because there may be none yet.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const modifiedAt = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;

function run(command, args, env = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

const withoutTelemetry = { ORT_DISABLE_TELEMETRY: '1' };

function newestSource() {
  const files = readdirSync(join(root, 'src'), { recursive: true }).map((name) => modifiedAt(join('src', name)));
  return Math.max(modifiedAt('tsconfig.json'), ...files);
}

if (modifiedAt('node_modules/.package-lock.json') < modifiedAt('package-lock.json')) {
  console.log('Installing packages (npm ci) ...');
  run('npm', ['ci']);
}
if (modifiedAt('dist/.built') < newestSource()) {
  console.log('Building ...');
  run(process.execPath, ['build.mjs']);
}

const [task, ...args] = process.argv.slice(2);
if (task === 'test') run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...args], withoutTelemetry);
else if (task === 'bench') run(process.execPath, ['bench/run.mjs', ...args], withoutTelemetry);
else run(process.execPath, ['bin/patchline.cjs', task, ...args]);

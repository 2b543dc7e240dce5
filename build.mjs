// Compiles src/ into a fresh dist/ and copies the files that are not TypeScript.
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync, writeFileSync } from 'node:fs';

rmSync('dist', { recursive: true, force: true });
const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], {
  stdio: 'inherit',
});
if (status !== 0) process.exit(status ?? 1);
cpSync('src/shared/onnx/onnx-ml.proto', 'dist/shared/onnx/onnx-ml.proto');
writeFileSync('dist/.built', '');

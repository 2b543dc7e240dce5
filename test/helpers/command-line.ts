import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { vi } from 'vitest';
import { runCommandLine } from '../../src/cli/command-line.js';
import { createProgram } from '../../src/cli/program.js';
import { endWithTests } from './end-with-tests.js';

const program = await createProgram();
const thisProgram = resolve('bin/patchline.cjs');

/** The environment without what would change where a command works. */
function cleanEnvironment(env: Record<string, string>): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(PATCHLINE_|REDIS_URL$|S3_ENDPOINT$|AWS_)/.test(name));
  return { ...Object.fromEntries(kept), ...env };
}

export interface CommandProcess {
  child: ChildProcess;
  pid: number;
  /** Everything printed so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when the text has been printed on stderr; rejects when the process ends before. */
  printed(text: string): Promise<void>;
  ended: Promise<number | null>;
}

/** Starts `patchline …` as its users do; it is killed when the tests end. */
export function startCommand(
  args: string[],
  env: Record<string, string> = {},
  entry: string = thisProgram,
): CommandProcess {
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(env),
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.on('data', (text) => {
    output.stdout += text;
  });
  child.stderr.on('data', (text) => {
    output.stderr += text;
  });
  endWithTests(child);
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    pid: child.pid!,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    async printed(text) {
      let running = true;
      while (!output.stderr.includes(text)) {
        if (!running) throw new Error(`ended with ${await ended} before it printed ${text}: ${output.stderr}`);
        const end = ended.then(() => {
          running = false;
        });
        await Promise.race([once(child.stderr, 'data'), end]);
      }
    },
    ended,
  };
}

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `patchline …` to its end. */
export async function runCommand(
  args: string[],
  env: Record<string, string> = {},
  entry: string = thisProgram,
): Promise<CommandResult> {
  const { ended, stdout, stderr } = startCommand(args, env, entry);
  return { code: await ended, stdout: stdout(), stderr: stderr() };
}

/** Runs the command line in this process, which is quicker than a process for each wrong word. */
export async function runHere(args: string[]): Promise<CommandResult> {
  const printed = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      printed[name] += text;
      return true;
    }),
  );
  try {
    await runCommandLine(program, ['node', 'patchline', ...args]);
    return { code: Number(process.exitCode ?? 0), ...printed };
  } finally {
    process.exitCode = 0;
    for (const spy of spies) spy.mockRestore();
  }
}

import cliProgress from 'cli-progress';
import { remark } from './command-line.js';

export interface Progress {
  /** One more is done, or as many as are said. */
  tick(count?: number): void;
  /** Prints a line on stderr, above the bar. */
  print(line: string): void;
  stop(): void;
}

/** A progress bar on stderr with the time left; nothing where stderr is no terminal. */
export function createProgress(what: string, total: number): Progress {
  if (!process.stderr.isTTY || total === 0) return { tick() {}, print: remark, stop() {} };
  const bars = new cliProgress.MultiBar({
    format: `${what} {bar} {value}/{total}, {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
  });
  const bar = bars.create(total, 0);
  return { tick: (count = 1) => bar.increment(count), print: (line) => bars.log(`${line}\n`), stop: () => bars.stop() };
}

export interface Phases {
  /** Shows how far the work is; a new phase gets a new bar. */
  report(state: { phase: string; done: number; total: number }): void;
  stop(): void;
}

/** One progress bar after the other, for work in phases. */
export function createPhases(): Phases {
  let phase = '';
  let done = 0;
  let progress: Progress | undefined;
  return {
    report(state) {
      if (state.phase !== phase) {
        progress?.stop();
        progress = createProgress(state.phase, state.total);
        phase = state.phase;
        done = 0;
      }
      progress?.tick(state.done - done); // at once, because the time left is estimated from tick to tick
      done = state.done;
    },
    stop: () => progress?.stop(),
  };
}

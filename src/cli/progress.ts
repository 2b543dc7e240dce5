import cliProgress from 'cli-progress';

export interface Progress {
  /** Whether somebody sees it: only on a terminal. */
  readonly shown: boolean;
  /** One more is done. */
  tick(): void;
  stop(): void;
}

/** A progress bar on stderr with the time left; nothing where stderr is no terminal. */
export function createProgress(what: string, total: number): Progress {
  if (!process.stderr.isTTY || total === 0) return { shown: false, tick() {}, stop() {} };
  const bar = new cliProgress.SingleBar({
    format: `${what} {bar} {value}/{total}, {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
  });
  bar.start(total, 0);
  return { shown: true, tick: () => bar.increment(), stop: () => bar.stop() };
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
      for (; done < state.done; done++) progress?.tick();
    },
    stop: () => progress?.stop(),
  };
}

import cliProgress from 'cli-progress';

export interface Progress {
  /** Whether somebody sees it: only on a terminal. */
  readonly shown: boolean;
  tick(): void;
  stop(): void;
}

/** A progress bar on stderr with rate and time left; nothing where stderr is no terminal. */
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

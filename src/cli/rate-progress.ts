import cliProgress from 'cli-progress';
import { remark } from './command-line.js';

/** How far work of unknown length has come. */
export interface Advance {
  done: number;
  /** Unknown while it is still being counted. */
  total: number | undefined;
  anomalous: number;
  failed: number;
}

export interface RateProgress {
  /** Prints a line on stderr, above the bar. */
  print(line: string): void;
  stop(): void;
}

/** The rate is that of the last minute, so that it follows the machine. */
const rateWindowMs = 60_000;

/**
 * Shows images a second, the time left and what was found: a bar on a terminal, elsewhere a line every 10 s, both on stderr.
 *
 * @param read tells how far it is
 */
export function createRateProgress(what: string, read: () => Advance): RateProgress {
  const samples: { at: number; done: number }[] = [];
  const look = () => {
    const now = { at: performance.now(), ...read() };
    samples.push(now);
    while (samples[0]!.at < now.at - rateWindowMs) samples.shift();
    const [first] = samples as [{ at: number; done: number }];
    return { ...now, rate: (1000 * (now.done - first.done)) / (now.at - first.at) || 0 };
  };
  look();
  return process.stderr.isTTY ? showBar(what, look) : printLines(what, look);
}

type Look = () => Advance & { rate: number };

function showBar(what: string, look: Look): RateProgress {
  const bars = new cliProgress.MultiBar({
    format: `${what} {bar} {facts}`,
    stream: process.stderr,
    hideCursor: true,
  });
  const bar = bars.create(1, 0, { facts: '' });
  const timer = setInterval(() => {
    const now = look();
    bar.setTotal(Math.max(1, now.total ?? 0));
    bar.update(now.total === undefined ? 0 : now.done, { facts: factsOf(now) });
  }, 500);
  return {
    print: (line) => bars.log(`${line}\n`),
    stop() {
      clearInterval(timer);
      bars.stop();
    },
  };
}

function printLines(what: string, look: Look): RateProgress {
  const timer = setInterval(() => remark(`${what}: ${factsOf(look())}`), 10_000);
  return { print: remark, stop: () => clearInterval(timer) };
}

/** Such as "1234 of 100000 images, 31.2 images/s, 53 min left, 4 anomalous, 1 failed". */
export function factsOf({ done, total, rate, anomalous, failed }: Advance & { rate: number }): string {
  return [
    total === undefined ? `${done} images` : `${done} of ${total} images`,
    `${rate.toFixed(1)} images/s`,
    ...(total === undefined || rate === 0 ? [] : [`${durationText((total - done) / rate)} left`]),
    `${anomalous} anomalous`,
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(', ');
}

const units: [name: string, seconds: number][] = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
];

/** The two largest units, such as "2 h 5 min". */
export function durationText(seconds: number): string {
  let left = Math.max(0, Math.round(seconds));
  const parts = units.map(([name, size]) => {
    const amount = Math.floor(left / size);
    left -= amount * size;
    return { amount, text: `${amount} ${name}` };
  });
  const first = parts.findIndex(({ amount }) => amount > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(({ amount }) => amount > 0)
    .map(({ text }) => text)
    .join(' ');
}

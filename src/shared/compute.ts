import { fileURLToPath } from 'node:url';
import { move, Piscina, transferableSymbol, valueSymbol } from 'piscina';
import { type ErrorCode, type ErrorOptions, PatchlineError } from './errors.js';
import { createThreadTurns } from './thread-turns.js';

/** A task that runs in a thread: the file whose default export is `inThread(handler)`, with the types of its two ends. */
export interface ThreadTask<Input, Output> {
  readonly file: string;
  /** Never there: it ties the types of input and output to the task. */
  readonly types?: (input: Input) => Output;
}

export const threadTask = <Input, Output>(file: URL): ThreadTask<Input, Output> => ({ file: fileURLToPath(file) });

/**
 * The threads that compute, one pool for a process. Sessions of onnxruntime block the thread they run in and compute in it
 * alone, so as many threads as cores keep the machine busy while the main thread only does I/O.
 */
export interface Compute {
  readonly threads: number;
  /** Runs a task in the next free thread. ArrayBuffers in `transfer` are moved, SharedArrayBuffers shared, the rest copied. */
  run<Input, Output>(task: ThreadTask<Input, Output>, input: Input, transfer?: ArrayBuffer[]): Promise<Output>;
  /** The same threads for what can wait, such as a backfill: its tasks keep no others waiting. */
  readonly behind: Compute;
  /** Waits for all tasks and ends the threads. Must come before the process ends: native code aborts where it is cut off. */
  close(): Promise<void>;
}

export interface ComputeOptions {
  /** Number of threads; the cores of the machine are a good choice. */
  threads: number;
}

/** Images leave megabytes of short-lived arrays: with V8's default of 48 their collection costs a tenth more CPU time. */
const maxYoungGenerationSizeMb = 96;

export function createCompute({ threads }: ComputeOptions): Compute {
  const pool = new Piscina({
    ...{ minThreads: threads, maxThreads: threads, resourceLimits: { maxYoungGenerationSizeMb } },
    stricterFIFO: true, // otherwise a task that no thread was free for goes to the end again and again
  });
  const turns = createThreadTurns(threads);
  const running = new Set<Promise<unknown>>();

  async function submit<Input, Output>(
    task: ThreadTask<Input, Output>,
    input: Input,
    transferList: ArrayBuffer[] = [],
  ): Promise<Output> {
    const answer: Answer<Output> = await pool.run(input, { filename: task.file, name: 'default', transferList });
    return unwrap(answer);
  }
  async function track<T>(answer: Promise<T>): Promise<T> {
    running.add(answer);
    try {
      return await answer;
    } finally {
      running.delete(answer);
    }
  }
  async function close(): Promise<void> {
    // A thread that ends amid native work takes the process with it, and piscina's own close() waits for some tasks only.
    while (running.size > 0) await Promise.allSettled(running);
    await pool.destroy();
  }
  const run: Compute['run'] = (...args) => track(turns.urgent(() => submit(...args)));
  const runBehind: Compute['run'] = (...args) => track(turns.behind(() => submit(...args)));
  const behind: Compute = {
    ...{ threads, run: runBehind, close },
    get behind() {
      return behind;
    },
  };
  return { threads, run, behind, close };
}

/** PatchlineErrors lose their class and code between threads, so they travel as values. */
type Answer<Output> = { value: Output } | { failure: { code: ErrorCode; message: string } & ErrorOptions };

function unwrap<Output>(answer: Answer<Output>): Output {
  if ('value' in answer) return answer.value;
  const { code, message, ...options } = answer.failure;
  throw new PatchlineError(code, message, options);
}

/** Makes a handler the default export of a thread's file. `transfer` names the buffers of the output that are moved, not copied. */
export function inThread<Input, Output>(
  handler: (input: Input) => Promise<Output>,
  transfer: (output: Output) => ArrayBufferLike[] = () => [],
) {
  return async (input: Input): Promise<unknown> => {
    try {
      const value = await handler(input);
      return move({ [valueSymbol]: { value }, [transferableSymbol]: transfer(value) } as never);
    } catch (error) {
      if (!(error instanceof PatchlineError)) throw error;
      const { code, message, retryable, details } = error;
      return { failure: { code, message, retryable, details } };
    }
  };
}

/** The bytes of an array in memory that all threads see. */
export function shareFloats(values: Float32Array): Float32Array<SharedArrayBuffer> {
  const shared = new Float32Array(new SharedArrayBuffer(values.byteLength));
  shared.set(values);
  return shared;
}

import type { Config } from '../shared/config.js';
import { runSink, type SinkContext } from './run-sink.js';
import { openSink, type Sink } from './sink.js';

/** Runs all configured sinks; undefined where there are none. @throws CONFIG_INVALID where the environment lacks a secret */
export async function startSinks(
  { sinks }: Config,
  context: SinkContext,
): Promise<{ close(): Promise<void> } | undefined> {
  if (sinks.length === 0) return undefined;
  const { queues, logger } = context;
  const environment = { logger, queuesUrl: queues.url, prefix: queues.config.prefix };
  const opened: Sink[] = [];
  try {
    for (const settings of sinks) opened.push(await openSink(settings, environment));
  } catch (error) {
    await Promise.all(opened.map((sink) => sink.close()));
    throw error;
  }
  const running = sinks.map((settings, at) => runSink(settings, opened[at]!, context));
  return {
    async close() {
      await Promise.all(running.map((sink) => sink.close()));
    },
  };
}

import { PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import type { SinkMessage } from './message.js';

/** A way to one receiver. */
export interface Sink {
  /** Events under way at once. */
  readonly atOnce: number;
  /**
   * Resolves once the receiver has the event.
   *
   * @param signal ends pauses between attempts, by throwing
   * @throws SINK_REFUSED where the receiver will never take this event; SINK_UNREACHABLE where it takes none for now
   */
  deliver(message: SinkMessage, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export interface SinkEnvironment {
  logger: Logger;
  /** Where the queues are: what a stream without an address is written to. */
  queuesUrl: string;
  /** Of the queues: keys that begin with it are patchline's own. */
  prefix: string;
}

/** Opens a sink, without waiting for its receiver. @throws CONFIG_INVALID where the environment lacks a secret */
export async function openSink(settings: SinkSettings, environment: SinkEnvironment): Promise<Sink> {
  switch (settings.type) {
    case 'webhook':
      return (await import('./webhook.js')).openWebhook(settings);
    case 'mqtt':
      return (await import('./mqtt.js')).openMqtt(settings, environment);
    case 'stream':
      return (await import('./stream.js')).openStream(settings, environment);
  }
}

/** A secret from the environment, undefined where none is asked for. @throws CONFIG_INVALID */
export function secretOf(sink: string, variable: string | undefined): string | undefined {
  if (variable === undefined) return undefined;
  const value = process.env[variable];
  if (value) return value;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected the environment variable ${variable}, which the sink ${sink} names, to be set`,
  );
}

/** @param mayHelp whether the receiver may take the event in another attempt */
export const refused = (message: string, mayHelp = false): PatchlineError =>
  new PatchlineError('SINK_REFUSED', message, { retryable: mayHelp });

export const unreachable = (message: string, retryAfterMs?: number): PatchlineError =>
  new PatchlineError('SINK_UNREACHABLE', message, { retryable: true, details: { retryAfterMs } });

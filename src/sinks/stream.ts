import { PatchlineError, messageOf as reasonOf } from '../shared/errors.js';
import { connectRedis } from '../shared/redis.js';
import type { StreamSettings } from '../shared/sink-settings.js';
import { inTime } from './in-time.js';
import { bodyOf } from './message.js';
import { type Sink, type SinkEnvironment, secretOf, unreachable } from './sink.js';

/** Copies events to another Redis stream: fields `event` (JSON), `kind` and `delivery`. */
export function openStream(settings: StreamSettings, { logger, queuesUrl, prefix }: SinkEnvironment): Sink {
  const { name, key, maxLength } = settings;
  if (key.startsWith(`${prefix}:`)) {
    throw new PatchlineError(
      'CONFIG_INVALID',
      `Expected another key than ${key} for the sink ${name}: what begins with ${prefix}: is patchline's own`,
    );
  }
  const redis = connectRedis(addressOf(settings) ?? queuesUrl, { logger, resend: false });
  return {
    atOnce: 100,
    async deliver(message) {
      const { delivery, kind } = message;
      const fields = ['event', bodyOf(message), 'kind', kind, 'delivery', delivery];
      try {
        await inTime(redis.xadd(key, 'MAXLEN', '~', maxLength, '*', ...fields));
      } catch (error) {
        throw unreachable(`Expected Redis to append to ${key} but: ${reasonOf(error)}`);
      }
    },
    async close() {
      redis.disconnect();
    },
  };
}

function addressOf({ name, url, username, passwordEnv }: StreamSettings): string | undefined {
  if (url === undefined) return undefined;
  const address = new URL(url);
  address.username = username ?? '';
  address.password = encodeURIComponent(secretOf(name, passwordEnv) ?? '');
  return address.href;
}

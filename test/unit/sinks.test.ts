import { expect, test } from 'vitest';
import { configSchema } from '../../src/shared/config.js';
import { isBefore } from '../../src/sinks/stream-group.js';
import { retryAfterMs } from '../../src/sinks/webhook.js';

const faults = (...sinks: object[]) =>
  configSchema.safeParse({ sinks }).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];
const webhook = { name: 'mes', type: 'webhook', url: 'https://mes.example/in' };
const mqtt = { name: 'line', type: 'mqtt', url: 'mqtts://broker.example' };

test('each type has its own settings, with defaults', () => {
  expect(
    configSchema.parse({ sinks: [webhook, mqtt, { name: 'copy', type: 'stream', key: 'k' }] }).sinks,
  ).toMatchObject([
    { events: ['verdicts', 'results'], from: 'new', attempts: 5, timeoutMs: 10_000, concurrency: 8 },
    { topic: 'patchline/{product}/{camera}/{kind}', qos: 1, retain: false },
    { maxLength: 1_000_000 },
  ]);
});

test.each([
  ['two sinks of one name', [webhook, webhook], /a name of its own/],
  ['an unknown type', [{ ...webhook, type: 'fax' }], /^sinks\.0\.type/],
  ['a setting of another type', [{ ...webhook, topic: 'a' }], /topic/],
  ['a secret in the address', [{ ...webhook, url: 'https://me:secret@mes.example/' }], /without user name/],
  ['an address of another protocol', [{ ...webhook, url: 'mqtt://mes.example' }], /such as https/],
  [
    'a variable that would be a setting',
    [{ ...webhook, secretEnv: 'PATCHLINE_SECRET' }],
    /does not begin with PATCHLINE_/,
  ],
  ['a topic with a wildcard', [{ ...mqtt, topic: 'patchline/#' }], /without \+ and #/],
  ['a topic with an unknown placeholder', [{ ...mqtt, topic: '{line}' }], /only placeholders are \{product\}/],
  ['QoS 0, which loses events', [{ ...mqtt, qos: 0 }], /^sinks\.0\.qos/],
  ['no event', [{ ...mqtt, events: [] }], /^sinks\.0\.events/],
  ['an empty filter list', [{ ...mqtt, filter: { outcome: [] } }], /filter\.outcome/],
  ['a password without an address', [{ name: 'a', type: 'stream', key: 'k', passwordEnv: 'P' }], /a url beside/],
])('%s is refused', (_, sinks, fault) => {
  const found = faults(...sinks);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(fault);
});

test('a secret is not shown by the fault of its address', () => {
  expect(faults({ ...webhook, url: 'https://me:secret@mes.example/' }).join()).not.toContain('secret@');
});

test('Retry-After is seconds or a date, and at most an hour', () => {
  const now = Date.parse('2026-01-31T08:00:00Z');
  expect(retryAfterMs('120', now)).toBe(120_000);
  expect(retryAfterMs('Sat, 31 Jan 2026 08:00:30 GMT', now)).toBe(30_000);
  expect(retryAfterMs('999999', now)).toBe(3_600_000);
  for (const header of [null, '0', 'soon', 'Sat, 31 Jan 2026 07:00:00 GMT'])
    expect(retryAfterMs(header, now)).toBeUndefined();
});

test('ids of a stream are ordered by their numbers', () => {
  expect(isBefore('999-5', '1000-0')).toBe(true);
  expect(isBefore('1000-9', '1000-10')).toBe(true);
  expect(isBefore('1000-10', '1000-10')).toBe(false);
  expect(isBefore('1001-0', '1000-10')).toBe(false);
});

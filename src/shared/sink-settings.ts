import { z } from 'zod';
import { namePattern } from './keys.js';

/**
 * Where verdicts and results are told to the outside. Secrets stand in the environment: the file only names the variable.
 * What each setting means: docs/sinks.md.
 */
const variable = z
  .string()
  .regex(
    /^(?!PATCHLINE_)[A-Za-z_][A-Za-z0-9_]*$/,
    'Expected the name of an environment variable that does not begin with PATCHLINE_',
  );

const name = z.string().regex(namePattern, `Expected a name that matches ${namePattern.source}`);

const address = (protocols: RegExp, example: string) =>
  z.url({ protocol: protocols, error: `Expected an address such as ${example}` }).refine(
    (text) => {
      const { username, password } = new URL(text);
      return username === '' && password === '';
    },
    { message: 'Expected an address without user name and password: they have settings of their own', abort: true },
  );

const outcomeSchema = z.enum(['good', 'anomalous', 'failed']);

const filterSchema = z.strictObject({
  product: z.array(name).min(1).optional(),
  camera: z.array(name).min(1).optional(),
  /** `failed` where there is no verdict. */
  outcome: z.array(outcomeSchema).min(1).optional(),
});
export type SinkFilter = z.infer<typeof filterSchema>;

const common = {
  name,
  events: z
    .array(z.enum(['verdicts', 'results']))
    .min(1)
    .default(['verdicts', 'results']),
  /** An event passes when each list holds what the event says. */
  filter: filterSchema.prefault({}),
  /** Where a sink starts that has never run: at what comes from now on, or at all that the streams still hold. */
  from: z.enum(['new', 'all']).default('new'),
  /** Pause after a first failure; it doubles with each further one up to 30 s. */
  backoffMs: z.number().int().min(1).default(1_000),
};

const placeholders = ['product', 'camera', 'kind', 'outcome'] as const;

const topic = z
  .string()
  .min(1)
  .refine((text) => !/[+#{}\0]/.test(text.replaceAll(/\{(\w+)\}/g, (all, word) => (isPlaceholder(word) ? '' : all))), {
    message: `Expected a topic without + and # whose only placeholders are {${placeholders.join('}, {')}}`,
  });
const isPlaceholder = (word: string): boolean => (placeholders as readonly string[]).includes(word);

const webhookSchema = z.strictObject({
  ...common,
  type: z.literal('webhook'),
  url: address(/^https?$/, 'https://mes.example/patchline'),
  /** Variable with the key of the signature. */
  secretEnv: variable.optional(),
  /** Variable with the value of the header Authorization. */
  authorizationEnv: variable.optional(),
  timeoutMs: z.number().int().min(1).default(10_000),
  /** Requests for one event that an endpoint answers with an error of its own, before the event is put on the failed list. */
  attempts: z.number().int().min(1).default(5),
  /** Requests at once; 1 keeps the order of the events. */
  concurrency: z.number().int().min(1).max(100).default(8),
});
export type WebhookSettings = z.infer<typeof webhookSchema>;

const mqttSchema = z.strictObject({
  ...common,
  type: z.literal('mqtt'),
  url: address(/^mqtts?$/, 'mqtts://broker.example'),
  username: z.string().min(1).optional(),
  passwordEnv: variable.optional(),
  topic: topic.default('patchline/{product}/{camera}/{kind}'),
  qos: z.literal([1, 2]).default(1),
  retain: z.boolean().default(false),
  /** After this time a broker drops what it could not yet hand on. */
  expirySeconds: z.number().int().min(1).optional(),
  /** Topic of a retained `online`, and `offline` once patchline is gone. */
  statusTopic: z
    .string()
    .regex(/^[^+#]+$/, 'Expected a topic without + and #')
    .optional(),
});
export type MqttSettings = z.infer<typeof mqttSchema>;

const streamSettings = z.strictObject({
  ...common,
  type: z.literal('stream'),
  /** Without one: the Redis of the queues. */
  url: address(/^rediss?$/, 'redis://host:6379').optional(),
  username: z.string().min(1).optional(),
  passwordEnv: variable.optional(),
  key: z.string().min(1),
  maxLength: z.number().int().min(1).default(1_000_000),
});
const streamSchema = streamSettings.refine(({ url, username, passwordEnv }) => url ?? !(username ?? passwordEnv), {
  message: 'Expected a url beside username and passwordEnv',
});
export type StreamSettings = z.infer<typeof streamSettings>;

export type SinkSettings = WebhookSettings | MqttSettings | StreamSettings;

export const sinksSchema = z
  .array(z.discriminatedUnion('type', [webhookSchema, mqttSchema, streamSchema]))
  .refine((sinks) => new Set(sinks.map((sink) => sink.name)).size === sinks.length, {
    message: 'Expected a name of its own for each sink',
  })
  .default([]);

import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { policySchema, regionSchema } from './contracts.js';
import { messageOf, PatchlineError } from './errors.js';
import { regionMask } from './kernels/region-mask.js';
import { namePattern } from './keys.js';
import { sinksSchema } from './sink-settings.js';

const unitBytes: Record<string, number> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9 };

/** A size in bytes: a number or a text like 50MB. */
const byteSize = z.union([z.number(), z.string()]).transform((value, context) => {
  const [, amount, unit = 'B'] = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)?$/i.exec(String(value)) ?? [];
  const bytes = Number(amount) * unitBytes[unit.toUpperCase()]!;
  if (bytes >= 1) return Math.floor(bytes);
  context.addIssue(`Expected a size such as 50MB but received ${JSON.stringify(value)}`);
  return z.NEVER;
});

const unitDays: Record<string, number> = { d: 1, w: 7, y: 365 };

/** A time to keep things, in days: a text like 90d, 8w or 2y. */
const days = z.string().transform((text, context) => {
  const [, amount, unit] = /^(\d+)(d|w|y)$/.exec(text) ?? [];
  if (Number(amount) >= 1) return Number(amount) * unitDays[unit!]!;
  context.addIssue(`Expected a time such as 90d but received ${JSON.stringify(text)}`);
  return z.NEVER;
});

/** A whole number of at least `least`; environment variables bring it as text. */
const count = (least: number, most = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value),
    z.number().int().min(least).max(most),
  );

/** A switch; environment variables bring it as text. */
const flag = z.preprocess((value) => (value === 'true' ? true : value === 'false' ? false : value), z.boolean());

const name = z.string().regex(namePattern, `Expected a name that matches ${namePattern.source}`);

/** A product's own classifier, explained in place of the bundle's. What each setting means: docs/classifier.md. */
const classifierSettings = z.strictObject({
  /** ONNX file; a relative path starts at the folder of the configuration file. */
  model: z.string().min(1),
  /** The output with the class scores; found by itself where it is named `logits` or the only one. */
  output: z.string().min(1).optional(),
  /** The tensor that is explained; found by itself. */
  layer: z.string().min(1).optional(),
  /** Index of the class that means a defect; 1 of one or two scores. */
  defect: z.number().int().min(0).optional(),
  /** Names of the classes. */
  labels: z.array(z.string().min(1)).min(2).optional(),
  /** What white is before mean and std are applied. */
  scale: z.literal([1, 255]).default(1),
  mean: z.array(z.number()).optional(),
  std: z.array(z.number().positive()).optional(),
  layout: z.enum(['nchw', 'nhwc']).default('nchw'),
});
export type ClassifierSettings = z.infer<typeof classifierSettings>;

/** A product's own model of process data, whose attribution joins the result. What each setting means: docs/process-data.md. */
const tableSettings = z.strictObject({
  /** ONNX file; a relative path starts at the folder of the configuration file. */
  model: z.string().min(1),
  /** Usual rows that are compared with, .csv or .npy; where nothing is said, MODEL.background.csv beside MODEL.onnx. */
  background: z.string().min(1).optional(),
  /** Names of the process numbers that it takes, in its order; found by themselves where the model or a .csv has names. */
  columns: z.array(z.string().min(1)).min(1).optional(),
  /** The output that is explained; found by itself where it is named `logits` or the only one. */
  output: z.string().min(1).optional(),
  /** Which of several values of the output; 1 of two. */
  target: z.number().int().min(0).optional(),
  /** What it gives, in words, where its file does not say so. */
  predicts: z.string().min(1).max(100).optional(),
  method: z.enum(['auto', 'exact', 'tree', 'deep', 'kernel', 'linear']).default('auto'),
  explainOutput: z.enum(['margin', 'probability']).optional(),
});
export type TableSettings = z.infer<typeof tableSettings>;

const productSettings = z.strictObject({ classifier: classifierSettings.optional(), table: tableSettings.optional() });

/** Side of the grid on which a region is tried out. */
const trialSide = 256;

const cameraRegion = regionSchema.refine((region) => regionMask(region, trialSide, trialSide).includes(1), {
  message: 'Expected a region that leaves something to inspect',
});

/** A folder that a camera writes its images to. What each setting means: docs/ingest.md. */
export const watchSettings = z.strictObject({
  dir: z.string().min(1),
  camera: name,
  /** What becomes of a file that was taken or refused: moved to done/ or rejected/ in the folder, or left. */
  after: z.enum(['move', 'leave']).default('move'),
  /** How long a file must not have changed to count as whole. */
  stableMs: count(10).default(2_000),
  /** For network shares, which do not tell of changes. */
  polling: z.boolean().default(false),
  /** Each image has a sidecar; one that comes after its image is waited for. */
  sidecar: z.boolean().default(false),
});

/** Objects in S3 that come in over time. */
export const pollSettings = z.strictObject({
  source: z.string().regex(/^s3:\/\//, 'Expected an address of the form s3://bucket/prefix'),
  camera: name,
  /** Pause between two looks for keys behind the last one. */
  everySeconds: count(1).default(10),
  /** How often all keys are listed, for images whose keys sort before others that came earlier. */
  sweepMinutes: count(1).default(60),
});

export const picturesSchema = z.enum(['overlay', 'all']);

export const configSchema = z.strictObject({
  /** Which product each camera looks at, and which part of its images is inspected. */
  cameras: z.record(name, z.strictObject({ product: name, region: cameraRegion.optional() })).default({}),
  products: z.record(name, productSettings).default({}),
  /** Folders and S3 prefixes whose new images are ingested while `up` runs. */
  watch: z.array(watchSettings).default([]),
  poll: z.array(pollSettings).default([]),
  /** Which images get explanations: only anomalous ones, or all. */
  explain: policySchema.default('flagged'),
  /** What is drawn of an explained image: the overlay, or all pictures at once; others are drawn on request. */
  pictures: picturesSchema.default('overlay'),
  /** Compute threads of a process. */
  threads: count(1).default(availableParallelism()),
  /** Bundles that a process keeps loaded; the least recently used goes first. */
  maxLoadedBundles: count(1).default(4),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('warn'),
  limits: z
    .strictObject({
      /** Inspections under way over which producers wait. */
      maxBacklog: count(1).default(10_000),
      /** Images of a backfill under way at most. */
      backfillWindow: count(1).default(2_000),
      maxImageBytes: byteSize.default(50e6),
    })
    .prefault({}),
  /** After which time reconcile --clean and, once a day, up delete what; where nothing is said, images and results are kept. */
  retention: z
    .strictObject({
      /** What score left for the explaining stages of incomplete inspections. */
      work: days.prefault('7d'),
      results: days.nullable().default(null),
      images: days.nullable().default(null),
    })
    .prefault({})
    .refine(({ images, results }) => (results ?? Number.POSITIVE_INFINITY) >= (images ?? Number.POSITIVE_INFINITY), {
      message: 'Expected results to be kept at least as long as images: an image without a result is inspected again',
    }),
  serve: z
    .strictObject({
      /** Where `up` serves the HTTP API; it does not without one. 0: any free port. */
      port: count(0, 65_535).nullable().default(null),
      /** Beyond this machine (0.0.0.0) only with a token. */
      host: z.string().min(1).default('127.0.0.1'),
      /** What clients must send as `Authorization: Bearer …`. */
      token: z
        .string()
        .regex(/^[\x21-\x7e]+$/, 'Expected visible ASCII characters')
        .nullable()
        .default(null),
    })
    .prefault({}),
  /** The table of past inspections. */
  history: z
    .strictObject({
      /** Whether `up` keeps it and results name similar inspections from it. */
      enabled: flag.default(true),
      /** Similar inspections that a result names. */
      similar: count(1).default(5),
      /** Days of capture that the writer compares with the store when it starts. */
      catchUpDays: count(1).default(3),
    })
    .prefault({}),
  queue: z
    .strictObject({
      /** What all keys in Redis begin with. */
      prefix: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/)
        .default('patchline'),
      /** After this time without renewal another worker may take a job over. */
      lockDurationMs: count(100).default(30_000),
      /** How often workers look for jobs whose lock ran out. */
      stalledIntervalMs: count(100).default(15_000),
      /** Pause before the second attempt; it doubles before the third. */
      backoffMs: count(1).default(1_000),
      /** Finished jobs that Redis keeps per queue. */
      keepCompleted: count(1).default(10_000),
    })
    .prefault({}),
  /** To whom verdicts and results are told. */
  sinks: sinksSchema,
});
export type Config = z.infer<typeof configSchema>;
export type QueueConfig = Config['queue'];

type Environment = Record<string, string | undefined>;
type Values = { [key: string]: unknown };

const isValues = (value: unknown): value is Values =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** PATCHLINE_LIMITS_MAX_BACKLOG for ['limits', 'maxBacklog']. */
const variableOf = (path: string[]): string =>
  `PATCHLINE_${path.map((part) => part.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('_')}`;

/** Every single-valued setting by the environment variable that sets it. */
function variables(values: Values = configSchema.parse({}), path: string[] = []): Map<string, string[]> {
  return new Map(
    Object.entries(values)
      .filter(([key, value]) => key !== 'cameras' && !Array.isArray(value))
      .flatMap(([key, value]): [string, string[]][] =>
        isValues(value) ? [...variables(value, [...path, key])] : [[variableOf([...path, key]), [...path, key]]],
      ),
  );
}

/** Settings of the environment laid over those of the file; returns the names that set nothing. */
function applyEnvironment(values: Values, environment: Environment): string[] {
  const known = variables();
  const unknown: string[] = [];
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('PATCHLINE_') || ['PATCHLINE_STORE', 'PATCHLINE_CONFIG'].includes(variable)) continue;
    const path = known.get(variable);
    if (!path) unknown.push(variable);
    else {
      const [group, leaf] = path as [string, string?];
      const settings = values[group] ?? {};
      if (leaf === undefined) values[group] = text;
      else if (isValues(settings)) values[group] = { ...settings, [leaf]: text };
      // else the file has something in the place of these settings, which is reported as its fault
    }
  }
  return unknown;
}

async function readConfigFile(path: string, required: boolean): Promise<Values> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new PatchlineError(
      'CONFIG_INVALID',
      `Expected a readable file for the configuration ${path}: ${messageOf(error)}`,
    );
  }
  try {
    const values: unknown = parseYaml(text) ?? {};
    if (isValues(values)) return values;
    throw new Error(`expected settings by name but received ${JSON.stringify(values)}`);
  } catch (error) {
    throw new PatchlineError('CONFIG_INVALID', `${path}: ${messageOf(error)}`);
  }
}

/**
 * Reads the configuration: `path`, else PATCHLINE_CONFIG, else ./patchline.yaml if there is one; PATCHLINE_* variables win.
 * All faults are reported at once (CONFIG_INVALID); what is returned is frozen.
 */
export async function loadConfig(path?: string, environment: Environment = process.env): Promise<Config> {
  const chosen = path ?? environment.PATCHLINE_CONFIG;
  const file = chosen ?? 'patchline.yaml';
  const values = await readConfigFile(file, chosen !== undefined);
  const unknown = applyEnvironment(values, environment);
  const parsed = configSchema.safeParse(values);
  const faults = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join('.') || 'configuration'}: ${issue.message}`),
    ...unknown.map((variable) => `${variable}: no setting has this name`),
  ];
  if (!parsed.success || faults.length > 0) throw new PatchlineError('CONFIG_INVALID', faults.join('\n'));
  const beside = (path: string) => resolve(dirname(file), path);
  for (const { classifier, table } of Object.values(parsed.data.products)) {
    if (classifier) classifier.model = beside(classifier.model);
    if (!table) continue;
    table.model = beside(table.model);
    if (table.background !== undefined) table.background = beside(table.background);
  }
  for (const watched of parsed.data.watch) watched.dir = resolve(dirname(file), watched.dir);
  return freezeDeep(parsed.data);
}

function freezeDeep<T extends object>(values: T): T {
  for (const value of Object.values(values)) if (typeof value === 'object' && value !== null) freezeDeep(value);
  return Object.freeze(values);
}

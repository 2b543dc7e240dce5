import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { attribute } from '../explain/shap/attribute.js';
import { featureCountOf, inputNamesOf, openTabularModel } from '../explain/shap/tabular-model.js';
import type { Config, TableSettings } from '../shared/config.js';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { sha256 } from '../shared/keys.js';
import { readNpy } from '../shared/npy.js';
import { featureNamesOf } from '../shared/onnx/feature-names.js';
import { type ModelProto, writeModel } from '../shared/onnx/model.js';
import { readModelFile } from '../shared/onnx/model-file.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { placeOfName } from '../shared/process-data.js';
import { readTable, type Table } from '../shared/tables/csv-table.js';
import type { TableModel } from './process-attribution.js';

// D columns, m background rows.

/**
 * The models of process data that the configuration names, by product, each checked by explaining a row of its background, so
 * that a worker does not start with one that cannot be explained.
 *
 * @throws CONFIG_INVALID, MODEL_DAMAGED, MODEL_INPUT_MISMATCH, OP_NOT_SUPPORTED, TABLE_UNREADABLE, ARRAY_UNREADABLE,
 * VALUES_NOT_FINITE, EXPLANATION_INCONSISTENT, naming product and file
 */
export async function loadTables({ products }: Pick<Config, 'products'>): Promise<Map<string, TableModel>> {
  const tables = new Map<string, TableModel>();
  for (const [product, { table }] of Object.entries(products)) {
    if (!table) continue;
    try {
      tables.set(product, await loadTable(table));
    } catch (error) {
      if (!(error instanceof PatchlineError)) throw error;
      const code = error.code === 'ARGUMENT_INVALID' ? 'CONFIG_INVALID' : error.code;
      const message = `table of product ${product}, ${table.model}: ${error.message}`;
      throw new PatchlineError(code, message, { details: error.details, cause: error });
    }
  }
  return tables;
}

async function loadTable(settings: TableSettings): Promise<TableModel> {
  const bytes = await readConfigured(settings.model, 'model');
  const proto = await readModelFile(settings.model);
  const takesMissing = routesMissing(proto);
  const { path, columns, background } = await readBackground(settings, proto);
  assertUsable(background, columns, takesMissing, path);
  const model = openTabularModel(proto, [columns.length], settings.output);
  const { method, explainOutput } = settings;
  const first = background.subarray(0, columns.length);
  const trial = await attribute(model, method, { rows: first, background, scale: explainOutput });
  return {
    model: shareModel(writeModel(proto)),
    file: basename(settings.model),
    sha256: sha256(bytes),
    predicts: settings.predicts ?? proto.metadataProps?.find(({ key }) => key === 'patchline.target')?.value,
    columns,
    output: model.output,
    K: trial.K,
    target: targetOf(settings, trial.K),
    method: trial.method,
    explainOutput,
    background,
    takesMissing,
  };
}

async function readConfigured(path: string, setting: string): Promise<Uint8Array> {
  return await readFile(path).catch((cause: unknown) => {
    throw configFault(`a readable file for ${setting} but ${messageOf(cause)}`, cause);
  });
}

const configFault = (fault: string, cause?: unknown) =>
  new PatchlineError('CONFIG_INVALID', `Expected ${fault}`, { cause });

/** Whether trees say where a missing value goes, or it is replaced before them. */
const routesMissing = ({ graph }: ModelProto): boolean =>
  graph.node.some(
    ({ opType, attribute }) =>
      opType === 'Imputer' ||
      attribute.some(({ name, ints = [] }) => name === 'nodes_missing_value_tracks_true' && ints.some(Boolean)),
  );

/** Usual rows, (m, D), and what the model's columns are called: by the settings, the model, or else the background's own names. */
async function readBackground(settings: TableSettings, proto: ModelProto) {
  const path = settings.background ?? `${settings.model.replace(/\.onnx$/i, '')}.background.csv`;
  const bytes = await readConfigured(path, 'background');
  const D = featureCountOf(proto);
  const inputs = inputNamesOf(proto);
  const named =
    settings.columns ?? featureNamesOf(proto) ?? (inputs.length > 1 && inputs.length === D ? inputs : undefined);
  if (!/\.npy$/i.test(path)) {
    const table = readTable(bytes, path, D);
    const columns = named ?? table.columns;
    return { path, columns, background: rowsOf(table, columns, path) };
  }
  if (named) return { path, columns: named, background: readMatrix(bytes, named.length, path) };
  throw configFault(
    `the names of what the model takes for columns, since neither it nor ${path} has any, but received none`,
  );
}

/** The wanted columns of a table, whatever their order and whatever else it holds. */
function rowsOf({ columns, rows }: Table, wanted: readonly string[], path: string): Float64Array {
  const places = wanted.map((name) => placeOfName(columns, name));
  const absent = wanted.filter((_, j) => places[j] === -1);
  if (absent.length > 0) {
    throw new PatchlineError(
      'MODEL_INPUT_MISMATCH',
      `Expected the columns ${wanted.join(', ')}, which the model takes, in ${path} but it lacks ${absent.join(', ')}`,
    );
  }
  const D = wanted.length;
  const count = (rows.length / columns.length) * D;
  return Float64Array.from({ length: count }, (_, i) => rows[Math.floor(i / D) * columns.length + places[i % D]!]!);
}

function readMatrix(bytes: Uint8Array, D: number, path: string): Float64Array {
  const { data, shape } = readNpy(bytes, path);
  if (shape.length === 2 && shape[1] === D) return Float64Array.from(data as ArrayLike<number>, Number);
  throw new PatchlineError('SHAPE_MISMATCH', `Expected rows (m, ${D}) in ${path} but received (${shape.join(', ')})`);
}

function assertUsable(background: Float64Array, columns: readonly string[], takesMissing: boolean, path: string): void {
  if (background.length === 0)
    throw new PatchlineError('SHAPE_MISMATCH', `Expected a row or more in ${path} but received none`);
  const wrong = background.findIndex(
    (value) => !(Number.isFinite(Math.fround(value)) || (takesMissing && Number.isNaN(value))),
  );
  if (wrong < 0) return;
  const [row, column] = [Math.floor(wrong / columns.length) + 1, columns[wrong % columns.length]];
  throw new PatchlineError(
    'VALUES_NOT_FINITE',
    `Expected finite numbers in ${path} but row ${row}, column ${JSON.stringify(column)}, holds ${background[wrong]}`,
  );
}

/** One value alone, the second of two; which of more is for the configuration to say. */
function targetOf({ target }: TableSettings, K: number): number {
  const chosen = target ?? (K <= 2 ? K - 1 : undefined);
  if (chosen !== undefined && chosen < K) return chosen;
  throw configFault(`which of ${K} values is explained, 0 to ${K - 1}, for target but received ${target ?? 'none'}`);
}

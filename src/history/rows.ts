import type { Verdict } from '../shared/contracts.js';
import type { Review } from '../shared/reviews.js';
import type { HistoryRow } from './schema.js';
import { type History, reach } from './table.js';

/** Which inspections; all where nothing is said. */
export interface HistoryFilter {
  product?: string;
  camera?: string;
  verdict?: Verdict;
  /** Captured at this instant or later. */
  since?: Date;
  /** Captured before this instant. */
  until?: Date;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
const instantOf = (date: Date): string => `timestamp '${date.toISOString()}'`;

/** `column = text` of the query language. */
export const equals = (column: keyof HistoryRow, text: string): string => `${column} = ${quoted(text)}`;
export const isOneOf = (column: keyof HistoryRow, texts: readonly string[]): string =>
  `${column} IN (${texts.map(quoted).join(', ')})`;
export const isBefore = (column: keyof HistoryRow, date: Date): string => `${column} < ${instantOf(date)}`;

function conditionOf({ product, camera, verdict, since, until }: HistoryFilter): string | undefined {
  const parts = [
    product !== undefined && equals('product', product),
    camera !== undefined && equals('camera', camera),
    verdict !== undefined && equals('verdict', verdict),
    since && `capturedAt >= ${instantOf(since)}`,
    until && isBefore('capturedAt', until),
  ].filter((part) => part !== false && part !== undefined);
  return parts.length > 0 ? parts.join(' AND ') : undefined;
}

/** What a column holds when it is read. */
type Read<Name extends keyof HistoryRow> = { [Column in Name]: HistoryRow[Column] };

/**
 * The named columns of the inspections that a filter lets through, in no order, batch by batch, so that a history of any size
 * can be read.
 *
 * @throws HISTORY_UNAVAILABLE
 */
export async function* readRows<Name extends keyof HistoryRow>(
  history: History,
  filter: HistoryFilter,
  columns: readonly Name[],
): AsyncGenerator<Read<Name>> {
  let query = history.table.query().select([...columns]);
  const condition = conditionOf(filter);
  if (condition !== undefined) query = query.where(condition);
  const batches = query[Symbol.asyncIterator]();
  for (;;) {
    const { done, value: batch } = await reach(history, () => batches.next());
    if (done) return;
    for (const row of batch) yield plainRow<Read<Name>>(row.toJSON());
  }
}

const instants: string[] = ['capturedAt', 'finishedAt', 'recordedAt'] satisfies (keyof HistoryRow)[];

/** A row as this program writes it: Arrow gives instants as numbers, lists as vectors of its own. */
export function plainRow<Row>(row: Record<string, unknown>): Row {
  const plain = (name: string, value: unknown) => {
    if (instants.includes(name)) return new Date(Number(value));
    return hasArray(value) ? value.toArray() : value;
  };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, plain(name, value)])) as Row;
}

const hasArray = (value: unknown): value is { toArray(): unknown } =>
  typeof value === 'object' && value !== null && 'toArray' in value;

/**
 * Writes rows, each over an earlier one of the same inspection. All or none of them are there afterwards.
 *
 * @throws HISTORY_UNAVAILABLE
 */
export async function writeRows(history: History, rows: readonly HistoryRow[]): Promise<void> {
  const byId = new Map(rows.map((row) => [row.inspectionId, row])); // a batch that holds an id twice would leave two rows
  if (byId.size === 0) return;
  await reach(history, () =>
    history.table
      .mergeInsert('inspectionId')
      .whenMatchedUpdateAll()
      .whenNotMatchedInsertAll()
      .execute([...byId.values()]),
  );
}

/** Sets the review of an inspection. @returns whether the history holds it @throws HISTORY_UNAVAILABLE */
export async function setReview(history: History, inspectionId: string, review: Review): Promise<boolean> {
  const update = { where: equals('inspectionId', inspectionId), values: { review: review.verdict } };
  const { rowsUpdated } = await reach(history, () => history.table.update(update));
  return rowsUpdated > 0;
}

/** Removes the rows of inspections; absent ones are no error. @throws HISTORY_UNAVAILABLE */
export async function removeRows(history: History, inspectionIds: readonly string[]): Promise<void> {
  if (inspectionIds.length === 0) return;
  await reach(history, () => history.table.delete(isOneOf('inspectionId', inspectionIds)));
}

import { type BasicType, fileWriter, ParquetWriter, schemaFromColumnData } from 'hyparquet-writer';
import type { InspectionResult } from '../../shared/contracts.js';
import type { Cell, Column, ColumnType } from './columns.js';

const rowsPerGroup = 10_000;

const typeOf: Record<ColumnType, BasicType> = { text: 'STRING', number: 'DOUBLE', truth: 'BOOLEAN', time: 'TIMESTAMP' };

/**
 * Writes rows as Parquet with typed columns, compressed with Snappy; a group of 10,000 rows is held in memory at once.
 *
 * @returns the number of rows
 */
export async function writeParquet(
  file: string,
  columns: Column[],
  results: AsyncIterable<InspectionResult>,
): Promise<number> {
  const types = columns.map(({ name, type }) => ({ name, data: [], type: typeOf[type], nullable: true }));
  const writer = new ParquetWriter({
    writer: fileWriter(file),
    schema: schemaFromColumnData({ columnData: types }),
    createdBy: 'patchline',
  });
  let group: Cell[][] = columns.map(() => []);
  let count = 0;
  const writeGroup = async () => {
    const columnData = columns.map(({ name }, at) => ({ name, data: group[at]! }));
    await writer.write({ columnData, rowGroupSize: rowsPerGroup });
    group = columns.map(() => []);
  };
  for await (const result of results) {
    for (const [at, { read }] of columns.entries()) group[at]!.push(read(result));
    if (++count % rowsPerGroup === 0) await writeGroup();
  }
  if (count % rowsPerGroup > 0) await writeGroup();
  await writer.finish();
  return count;
}

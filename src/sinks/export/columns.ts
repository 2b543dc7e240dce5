import type { InspectionResult } from '../../shared/contracts.js';
import { featureNames } from '../../shared/kernels/readable-features.js';

export type Cell = string | number | boolean | Date | null;
export type ColumnType = 'text' | 'number' | 'truth' | 'time';

export interface Column {
  name: string;
  type: ColumnType;
  /** null where the result does not say. */
  read(result: InspectionResult): Cell;
}

type Scored = Exclude<InspectionResult, { status: 'failed' }>;
type Failed = Extract<InspectionResult, { status: 'failed' }>;

const column = (name: string, type: ColumnType, read: (result: InspectionResult) => Cell): Column => ({
  name,
  type,
  read,
});
const scored = (name: string, type: ColumnType, read: (result: Scored) => Cell | undefined): Column =>
  column(name, type, (result) => (result.status === 'failed' ? null : (read(result) ?? null)));
const failed = (name: string, read: (error: Failed['error']) => string): Column =>
  column(name, 'text', (result) => (result.status === 'failed' ? read(result.error) : null));

const fixed: Column[] = [
  column('inspectionId', 'text', (result) => result.inspectionId),
  column('imageKey', 'text', (result) => result.imageKey),
  column('camera', 'text', (result) => result.camera),
  column('product', 'text', (result) => result.product),
  column('bundle', 'text', (result) => result.bundle),
  column('capturedAt', 'time', (result) => new Date(result.capturedAt)),
  column('finishedAt', 'time', (result) => new Date(result.finishedAt)),
  column('status', 'text', (result) => result.status),
  scored('verdict', 'text', (result) => result.verdict),
  scored('anomalyScore', 'number', (result) => result.anomalyScore),
  scored('threshold', 'number', (result) => result.threshold),
  scored('severity', 'number', (result) => result.severity),
  ...['x', 'y', 'width', 'height'].map((side, at) =>
    scored(`location.${side}`, 'number', ({ location }) => location.box[at]),
  ),
  scored('risk.probability', 'number', ({ risk }) => risk?.probability),
  scored('risk.baseValue', 'number', ({ risk }) => risk?.baseValue),
  ...featureNames.flatMap((name) =>
    (['value', 'shap'] as const).map((part) =>
      scored(
        `${name}.${part}`,
        'number',
        ({ risk }) => risk?.features.find((feature) => feature.name === name)?.[part],
      ),
    ),
  ),
  scored('classifier.label', 'text', ({ classifier }) => classifier?.label),
  scored('classifier.probability', 'number', ({ classifier }) => classifier?.probability),
  scored('classifier.weak', 'truth', ({ classifier }) => classifier?.weak),
  failed('error.code', ({ code }) => code),
  failed('error.stage', ({ stage }) => stage),
  failed('error.message', ({ message }) => message),
];

/** What each inspection says, one column per process number that any of them carries. */
export const columnsWith = (processNames: Iterable<string>): Column[] => [
  ...fixed,
  ...[...processNames]
    .sort()
    .map((name) => column(`process.${name}`, 'number', ({ process }) => process?.[name] ?? null)),
];

import type { Card } from './card.js';
import type { Driver } from './drivers.js';
import type { Measure, MeasureName } from './held-out.js';

/** The card of a model for people: M.card.md. */
export function cardText(card: Card): string {
  const { columns, warnings, leftOut, versions, seed } = card;
  const made = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${[
    `# A ${nameOf(card)} for ${card.target.name}`,
    '',
    `${summaryLine(card)}.`,
    ...(warnings.length > 0 ? ['', '## Warnings', '', ...warnings.map((warning) => `- ${warning}`)] : []),
    '',
    '## What it is worth',
    '',
    `Measured on rows that the model had not seen: ${card.heldOut.how}, ${card.heldOut.rows} rows.`,
    '',
    '| | model | 95 % | knowing no column |',
    '|---|---|---|---|',
    ...measuresOf(card).map(
      ({ name, value, low, high, baseline }) => `| ${name} | ${value} | ${low} to ${high} | ${baseline} |`,
    ),
    '',
    `## What drives ${card.target.name}`,
    '',
    ...card.drivers.map((driver, place) => `${place + 1}. ${driver.name}: ${driverText(driver, card)}`),
    '',
    'These are mean sizes of Shapley values. They say what the model goes by, which need not be a cause: columns that change ' +
      'together share what either of them does.',
    '',
    '## Columns',
    '',
    '| column | least | median | largest | missing |',
    '|---|---|---|---|---|',
    ...columns.map(
      ({ name, least, median, largest, missing }) =>
        `| ${name} | ${number(least)} | ${number(median)} | ${number(largest)} | ${missing} |`,
    ),
    '',
    'The model takes the columns in this order, as they stand in the table. A missing value (NaN) counts as the median.',
    ...(leftOut.length > 0 ? ['', `Left out: ${leftOutText(card)}.`] : []),
    '',
    '## How it was made',
    '',
    `${settingsText(card)}; seed ${seed}; ${made.join(', ')}.`,
  ].join('\n')}\n`;
}

/** The card in a few lines for a terminal. */
export function cardLines(card: Card): string[] {
  const { drivers, heldOut, warnings, target } = card;
  const shown = drivers.slice(0, mostShown);
  const width = Math.max(...shown.map(({ name }) => name.length));
  return [
    summaryLine(card),
    ...(card.leftOut.length > 0 ? [`left out: ${leftOutText(card)}`] : []),
    `held out (${heldOut.how}, ${heldOut.rows} rows):`,
    ...measuresOf(card).map(
      ({ name, value, low, high, baseline }) =>
        `  ${name} ${value} (95 %: ${low} to ${high}; knowing no column: ${baseline})`,
    ),
    `what drives ${target.name}:`,
    ...shown.map((driver) => `  ${driver.name.padEnd(width)}  ${driverText(driver, card)}`),
    ...(drivers.length > mostShown ? [`  and ${drivers.length - mostShown} more columns`] : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}

const mostShown = 10;

const measureNames: Record<MeasureName, string> = {
  r2: 'R²',
  rmse: 'root mean squared error',
  mae: 'mean absolute error',
  auroc: 'AUROC',
  accuracy: 'accuracy',
  logLoss: 'log loss',
};

/** The figures as texts. */
function measuresOf({ heldOut }: Card) {
  return (Object.entries(heldOut.measures) as [MeasureName, Measure][]).map(
    ([name, { value, interval, baseline }]) => ({
      name: measureNames[name],
      value: number(value),
      low: number(interval[0]),
      high: number(interval[1]),
      baseline: number(baseline),
    }),
  );
}

const number = (value: number): string => String(Number(value.toPrecision(4)));

const nameOf = ({ model }: Card): string => (model === 'forest' ? 'random forest' : 'multilayer perceptron');

function summaryLine({ task, source, rows, droppedRows, target, columns }: Card): string {
  const classes = target.classes?.map(({ label, rows: count }) => `${label} (${count})`).join(', ');
  const dropped = droppedRows > 0 ? `; ${droppedRows} rows without ${target.name} dropped` : '';
  const what = classes ? `classes ${classes}` : `values from ${number(target.least!)} to ${number(target.largest!)}`;
  return `${task} of ${target.name}, ${what}, from ${columns.length} columns and ${rows} rows of ${source}${dropped}`;
}

const leftOutText = ({ leftOut }: Card): string =>
  leftOut.map(({ column, reason }) => `${column} (${reason})`).join(', ');

function settingsText({ settings }: Card): string {
  if ('trees' in settings) return `${settings.trees} trees, each grown on ${settings.rowsOfTree} rows drawn by chance`;
  return `hidden layers of ${settings.hidden.join(' and ')} units`;
}

function driverText({ meanSize, effect }: Driver, { target: { classes } }: Card): string {
  const ofClass = classes?.length === 2 ? classes[1]!.label : 'a class';
  const what = classes ? `the probability of ${ofClass}` : 'the prediction';
  return `moves ${what} by ${number(meanSize)} on average${effect ? effectTexts[effect] : ''}`;
}

const effectTexts = {
  raises: '; a higher value raises it',
  lowers: '; a higher value lowers it',
  bends: '; not in one direction',
} as const;

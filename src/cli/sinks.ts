import { PatchlineError } from '../shared/errors.js';
import { findRedis } from '../shared/redis.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import { dropFailed, type FailedEvent, getFailed, listFailed } from '../sinks/failed-events.js';
import { retryFailed } from '../sinks/retry-failed.js';
import { openSink, type Sink } from '../sinks/sink.js';
import { type SinkStatus, statusOf } from '../sinks/sink-status.js';
import { answer, type CommonOptions, defineCommand, defineGroup, openSession, type Session } from './command-line.js';
import { withConnection } from './connection.js';

const list = defineCommand('list', 'List the configured sinks.', 'patchline sinks list').action(
  async (options: CommonOptions) => {
    const { config } = await openSession(options);
    const shown = config.sinks.map(({ name, type, events, filter }) => ({ name, type, events, filter }));
    const lines = shown.map(({ name, type, events, filter }) =>
      [name, type, events.join(' and '), ...Object.entries(filter).map(([key, values]) => `${key} ${values}`)].join(
        '  ',
      ),
    );
    answer(options, shown, shown.length === 0 ? ['no sink is configured'] : lines);
  },
);

const status = defineCommand(
  'status [sink]',
  'Show how far the sinks are, and what keeps them.',
  'patchline sinks status',
).action(async (name: string | undefined, options: CommonOptions) => {
  await withConnection(options, async (connection) => {
    const sinks = name === undefined ? connection.config.sinks : [sinkOf(connection, name)];
    const found: SinkStatus[] = [];
    for (const sink of sinks) found.push(await statusOf(sink, connection));
    answer(options, found, found.length === 0 ? ['no sink is configured'] : found.flatMap(describe));
  });
});

function describe({ name, type, processes, streams, trouble, missed, failed }: SinkStatus): string[] {
  const counts = streams.map(
    ({ stream, waiting, underWay }) => `${stream}: ${waiting ?? 'unknown'} waiting, ${underWay} under way`,
  );
  return [
    `${name}  ${type}  ${processes} running  ${counts.join('  ')}  ${failed} failed`,
    ...(trouble ? [`  nothing is delivered since ${trouble.since}: ${trouble.reason}`] : []),
    ...missed.map(
      ({ stream, fromMs, untilMs }) =>
        `  ${stream} from ${new Date(fromMs).toISOString()} to ${new Date(untilMs).toISOString()} are still to be made up for from the store`,
    ),
  ];
}

const failed = defineCommand(
  'failed <sink>',
  'List the events that its receiver refused, with the reasons.',
  'patchline sinks failed mes',
).action(async (name: string, options: CommonOptions) => {
  const session = await openSession(options);
  const found: FailedEvent[] = [];
  for await (const event of failedEvents(session, name, [])) found.push(event);
  const lines = found.map(({ delivery, failedAt, reason }) => `${delivery}  ${failedAt}  ${reason}`);
  answer(options, found, found.length === 0 ? ['nothing failed'] : lines);
});

type ChoiceOptions = CommonOptions & { all?: boolean };

const retry = defineCommand(
  'retry <sink> [delivery...]',
  'Deliver events of the failed list once more, from here.',
  'patchline sinks retry mes --all',
)
  .option('--all', 'all that sinks failed shows')
  .action(async (name: string, deliveries: string[], options: ChoiceOptions) => {
    const session = await openSession(options);
    assertChoice(deliveries, options);
    const settings = sinkOf(session, name);
    const sink = await open(settings, session);
    const { store } = session;
    const { backoffMs } = settings;
    const report = await retryFailed(store, { name, sink, backoffMs }, failedEvents(session, name, deliveries)).finally(
      () => sink.close(),
    );
    const lines = report.refused.map(({ delivery, reason }) => `${delivery}  ${reason}`);
    answer(options, report, [`${report.delivered} delivered, ${report.refused.length} refused again`, ...lines]);
    if (report.refused.length > 0) process.exitCode = 1;
  });

const drop = defineCommand(
  'drop <sink> [delivery...]',
  'Take events off the failed list.',
  'patchline sinks drop mes --all',
)
  .option('--all', 'all that sinks failed shows')
  .action(async (name: string, deliveries: string[], options: ChoiceOptions) => {
    const session = await openSession(options);
    assertChoice(deliveries, options);
    let dropped = 0;
    for await (const { delivery } of failedEvents(session, name, deliveries)) {
      await dropFailed(session.store, name, delivery);
      dropped++;
    }
    answer(options, { dropped }, [`${dropped} dropped`]);
  });

function assertChoice(deliveries: string[], { all }: ChoiceOptions): void {
  if ((all !== undefined) !== deliveries.length > 0) return;
  throw new PatchlineError('ARGUMENT_INVALID', 'Expected deliveries or --all');
}

/** @throws SINK_UNKNOWN */
function sinkOf({ config }: Session, name: string): SinkSettings {
  const sink = config.sinks.find((each) => each.name === name);
  if (sink) return sink;
  const names = config.sinks.map((each) => each.name).join(', ') || 'none';
  throw new PatchlineError('SINK_UNKNOWN', `Expected a configured sink (${names}) but received ${name}`);
}

/** Redis is only looked for where a sink writes to that of the queues. */
async function open(settings: SinkSettings, { store, config, logger }: Session): Promise<Sink> {
  const queuesUrl = settings.type === 'stream' && !settings.url ? await findRedis(store.url) : '';
  return openSink(settings, { logger, queuesUrl, prefix: config.queue.prefix });
}

/** The named events of a sink's failed list, or all where none is named. */
async function* failedEvents(session: Session, name: string, deliveries: string[]): AsyncGenerator<FailedEvent> {
  const { store } = session;
  sinkOf(session, name);
  for await (const delivery of deliveries.length > 0 ? deliveries : listFailed(store, name)) {
    const event = await getFailed(store, name, delivery);
    if (event) yield event;
    else if (deliveries.length > 0) {
      throw new PatchlineError(
        'ARGUMENT_INVALID',
        `Expected a delivery on the failed list of ${name} but received ${delivery}`,
      );
    }
  }
}

export const sinks = defineGroup(
  'sinks',
  'Where verdicts and results are told: list, status, failed, retry, drop.',
  'patchline sinks status',
  [list, status, failed, retry, drop],
);

import { Command } from 'commander';
import { patchlineVersion } from '../shared/versions.js';

/** Every command, loaded when it is needed: what one of them is built on would hold up all others. */
const commands = {
  demo: async () => (await import('./demo.js')).demo,
  fit: async () => (await import('./fit.js')).fit,
  evaluate: async () => (await import('./evaluate.js')).evaluate,
  inspect: async () => (await import('./inspect.js')).inspect,
  explain: async () => (await import('./explain.js')).explain,
  attribute: async () => (await import('./attribute.js')).attribute,
  'fit-table': async () => (await import('./fit-table.js')).fitTable,
  up: async () => (await import('./up.js')).up,
  worker: async () => (await import('./worker.js')).worker,
  serve: async () => (await import('./serve.js')).serve,
  ingest: async () => (await import('./ingest.js')).ingest,
  watch: async () => (await import('./watch.js')).watch,
  bundles: async () => (await import('./bundles.js')).bundles,
  failed: async () => (await import('./failed.js')).failed,
  similar: async () => (await import('./similar.js')).similar,
  history: async () => (await import('./history.js')).history,
  review: async () => (await import('./review.js')).review,
  quantiles: async () => (await import('./quantiles.js')).quantiles,
  reconcile: async () => (await import('./reconcile.js')).reconcile,
  sinks: async () => (await import('./sinks.js')).sinks,
  export: async () => (await import('./export.js')).exportResults,
  status: async () => (await import('./status.js')).status,
  doctor: async () => (await import('./doctor.js')).doctor,
  bench: async () => (await import('./bench.js')).bench,
};

/** The command line with the named command alone, with none to tell the version, or else (--help, a wrong name) with all. */
export async function createProgram(named = ''): Promise<Command> {
  const program = new Command('patchline')
    .description('Inspects images of manufactured parts through message queues and explains every score.')
    .version(patchlineVersion)
    .addHelpText('after', '\nStart with:\n  patchline demo --exit\n  patchline COMMAND --help');
  const isCommand = Object.hasOwn(commands, named);
  const all = ['--version', '-V'].includes(named) ? [] : Object.values(commands);
  const wanted = isCommand ? [commands[named as keyof typeof commands]] : all;
  for (const command of await Promise.all(wanted.map((load) => load()))) program.addCommand(command);
  return program;
}

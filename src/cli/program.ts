import { createRequire } from 'node:module';
import { Command } from 'commander';
import { attribute } from './attribute.js';
import { bench } from './bench.js';
import { bundles } from './bundles.js';
import { demo } from './demo.js';
import { doctor } from './doctor.js';
import { evaluate } from './evaluate.js';
import { explain } from './explain.js';
import { failed } from './failed.js';
import { fit } from './fit.js';
import { ingest } from './ingest.js';
import { inspect } from './inspect.js';
import { quantiles } from './quantiles.js';
import { reconcile } from './reconcile.js';
import { status } from './status.js';
import { up } from './up.js';
import { worker } from './worker.js';

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };

export const program = new Command('patchline')
  .description('Inspects images of manufactured parts through message queues and explains every score.')
  .version(version)
  .addHelpText('after', '\nStart with:\n  patchline demo --exit\n  patchline COMMAND --help');

for (const command of [
  demo,
  fit,
  evaluate,
  inspect,
  explain,
  attribute,
  up,
  worker,
  ingest,
  bundles,
  failed,
  quantiles,
  reconcile,
  status,
  doctor,
  bench,
]) {
  program.addCommand(command);
}

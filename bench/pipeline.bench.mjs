import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

const command = join(import.meta.dirname, '../bin/patchline.cjs');

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'pipeline',
  about:
    'Simulated plates through the whole pipeline, everything embedded, against its kernels alone (decode, score, draw, explain; no ' +
    'queue, no store) in the same run, with all threads: `npx patchline bench`.',
  async run() {
    const { stdout } = await promisify(execFile)(process.execPath, [command, 'bench', '--json']);
    /** @typedef {{ imagesPerSecond: number, cpuMsPerImage: number, objectsPerImage: number, redisCommandsPerImage: number }} Run */
    /** @type {{ images: number, rounds: number, cases: { name: string, kernels: Run, pipeline: Run, ratio: number }[] }} */
    const { images, rounds, cases } = JSON.parse(stdout);
    return {
      columns: [
        ...['images', 'kernels alone, images/s', 'pipeline, images/s', 'ratio', 'CPU ms an image'],
        ...['objects written an image', 'Redis commands an image'],
      ],
      rows: cases.map(({ name, kernels, pipeline, ratio }) => [
        ...[name, kernels.imagesPerSecond.toFixed(1), pipeline.imagesPerSecond.toFixed(1), ratio.toFixed(2)],
        ...[pipeline.cpuMsPerImage, pipeline.objectsPerImage, pipeline.redisCommandsPerImage].map((n) => n.toFixed(1)),
      ]),
      notes: [`Medians of ${rounds} rounds of ${images} plates.`],
    };
  },
};

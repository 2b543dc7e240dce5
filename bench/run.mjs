// What `npm run bench` runs: every *.bench.mjs here, or those named (`npm run bench -- coreset`). A run of all writes docs/benchmarks.md.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

/**
 * @typedef {object} Bench
 * @property {string} name
 * @property {string} about What is measured against what.
 * @property {() => Promise<{ columns: string[], rows: (string | number)[][], notes?: string[] }>} run Checks that the results are
 *   correct, then measures.
 */

const directory = import.meta.dirname;
const root = join(directory, '..');

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));

function commit() {
  const git = (/** @type {string[]} */ ...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src') === '' ? '' : ' with changes');
}

const machine =
  `${cpus()[0]?.model ?? 'unknown'}, ${cpus().length} cores, Node ${process.version}, ` +
  `onnxruntime ${readJson('node_modules/onnxruntime-node/package.json').version}, commit ${commit()}, ` +
  `load average at the start ${loadavg()[0]?.toFixed(1)}`;

/** @returns {Promise<Bench[]>} */
async function readBenches() {
  const files = readdirSync(directory).filter((file) => file.endsWith('.bench.mjs'));
  return await Promise.all(files.sort().map(async (file) => (await import(join(directory, file))).default));
}

/** @param {(string | number)[]} cells */
const line = (cells) => `| ${cells.join(' | ')} |`;

/** @param {Bench} bench */
async function section({ name, about, run }) {
  const { columns, rows, notes = [] } = await run();
  const table = [line(columns), line(columns.map(() => '---')), ...rows.map(line)];
  return [`## ${name}`, '', about, '', ...table, ...notes.flatMap((note) => ['', note]), ''].join('\n');
}

const benches = await readBenches();
const names = process.argv.slice(2);
const unknown = names.filter((name) => !benches.some((bench) => bench.name === name));
if (unknown.length > 0) {
  console.error(`Expected names of ${benches.map(({ name }) => name).join(', ')} but received ${unknown.join(', ')}`);
  process.exit(2);
}
console.log(`${machine}\n`);
const sections = [];
for (const bench of benches.filter(({ name }) => names.length === 0 || names.includes(name))) {
  sections.push(await section(bench));
  console.log(sections.at(-1));
}
if (names.length === 0) {
  const head = `# Benchmarks\n\nWritten by \`npm run bench\`; times are of one thread unless said otherwise.\n\n${machine}\n`;
  writeFileSync(join(root, 'docs/benchmarks.md'), [head, ...sections].join('\n'));
}

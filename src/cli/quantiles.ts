import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { exactQuantileMaps, histogramQuantileMaps, passesOf } from '../explain/quantile-maps.js';
import { writeNpy } from '../shared/npy.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { answer, type CommonOptions, date, defineCommand, openSession, wholeNumber } from './command-line.js';
import { findMaps, type MapGroup, type MapKind, type MapSearch, readMap, readMaps } from './map-groups.js';
import { createPhases, type Phases } from './progress.js';
import { drawQuantiles } from './quantile-picture.js';

interface QuantilesOptions extends CommonOptions, MapSearch {
  quantiles: number[];
  bins?: number;
  out: string;
}

/** What the command prints with --json. */
interface QuantilesReport {
  product: string;
  map: MapKind;
  quantiles: number[];
  /** Of the histogram; absent where quantiles are exact. */
  bins?: number;
  groups: GroupReport[];
}

interface GroupReport {
  camera: string | null;
  bundle: string;
  maps: number;
  height: number;
  width: number;
  /** The largest value of each quantile map, and where it is: pixels of the map. */
  largest: { quantile: number; value: number; x: number; y: number }[];
  files: string[];
}

const parts = (text: string): number[] => {
  const values = text.split(',').map((each) => (each.trim() === '' ? Number.NaN : Number(each)));
  if (values.every((value) => value >= 0 && value <= 1)) return values;
  throw new InvalidArgumentError('Expected numbers from 0 to 1, such as 0.25,0.5,0.75.');
};

export const quantiles = defineCommand(
  'quantiles',
  'Draw what anomaly maps or Grad-CAM++ maps of many inspections have in common: their quantiles at each pixel, for each camera and bundle.',
  'patchline quantiles --product kol --camera line-1 --since 2026-01-31 --out ./quantiles',
)
  .requiredOption('--product <name>', 'whose inspections')
  .option('--camera <name>', 'leave out those of other cameras')
  .option('--since <date>', 'leave out images captured before this date', date)
  .addOption(new Option('--map <kind>', 'of which maps').choices(['anomaly', 'gradcam']).default('anomaly'))
  .option('--quantiles <values>', 'from 0 to 1', parts, [0.25, 0.5, 0.75])
  .option(
    '--bins <number>',
    'estimate them by histograms of so many bins, such as 50: two readings however many maps (default: exact)',
    wholeNumber(2),
  )
  .requiredOption('--out <dir>', 'DIR/<camera>/<bundle>/ gets quantiles.npy and quantiles.png')
  .action(async (options: QuantilesOptions) => {
    const { store } = await openSession(options);
    const { product, map, quantiles, bins } = options;
    const groups: GroupReport[] = [];
    const phases = createPhases();
    try {
      for (const group of await findMaps(store, options)) {
        groups.push(await writeQuantiles(store, group, options, phases));
      }
    } finally {
      phases.stop();
    }
    const report = { product, map, quantiles, ...(bins !== undefined && { bins }), groups };
    answer(options, report, describe(report));
  });

async function writeQuantiles(
  store: ObjectStore,
  group: MapGroup,
  options: QuantilesOptions,
  phases: Phases,
): Promise<GroupReport> {
  const { quantiles, bins } = options;
  const { camera, bundle, keys } = group;
  const { height, width } = await readMap(store, keys[0]!);
  const [N, P] = [keys.length, height * width];
  const total = N * (bins === undefined ? passesOf(N, P) : 2);
  let done = 0;
  const stack = {
    N,
    P,
    async *maps() {
      for await (const each of readMaps(store, group, { height, width })) {
        phases.report({ phase: `maps of ${camera} ${bundle}`, done: ++done, total });
        yield each;
      }
    },
  };
  const data = await (bins === undefined
    ? exactQuantileMaps(stack, quantiles)
    : histogramQuantileMaps(stack, quantiles, bins));
  const directory = join(options.out, camera ?? '_', bundle); // no camera can be called _
  await mkdir(directory, { recursive: true });
  const files = ['quantiles.npy', 'quantiles.png'].map((name) => join(directory, name));
  await writeFile(files[0]!, writeNpy({ dtype: 'float32', shape: [quantiles.length, height, width], data }));
  await writeFile(files[1]!, await drawQuantiles(store, group, options, { data, height, width }));
  const largest = quantiles.map((quantile, k) => {
    const own = data.subarray(k * P, (k + 1) * P);
    const p = own.reduce((best, value, index) => (value > own[best]! ? index : best), 0);
    return { quantile, value: own[p]!, x: p % width, y: Math.floor(p / width) };
  });
  return { camera, bundle, maps: N, height, width, largest, files };
}

function describe({ groups }: QuantilesReport): string[] {
  const number = (value: number) => String(Number(value.toPrecision(4)));
  return groups.flatMap(({ camera, bundle, maps, height, width, largest, files }) => [
    `${camera ?? 'no camera'}, ${bundle}: ${maps} ${maps === 1 ? 'map' : 'maps'} of ${height} x ${width} (height x width)`,
    ...largest.map(
      ({ quantile, value, x, y }) => `  quantile ${quantile}: at most ${number(value)}, at x ${x}, y ${y} of the map`,
    ),
    ...files.map((file) => `  wrote ${file}`),
  ]);
}

import { requireActiveVersion } from '../producer/enqueue.js';
import {
  activateBundle,
  activeVersion,
  type Bundle,
  bundleCardKey,
  listBundles,
  readBundle,
} from '../shared/bundle.js';
import { threshold } from './bundles-threshold.js';
import { answer, type CommonOptions, defineCommand, defineGroup, openSession } from './command-line.js';

const describe = (bundle: Bundle, active: string | undefined): string =>
  `${bundle.version === active ? '*' : ' '} ${bundle.version.padEnd(5)} ${bundle.createdAt}  ${bundle.images} images, ` +
  `${bundle.network.kind} network, threshold ${bundle.threshold.toFixed(3)}` +
  `${bundle.warnings.length > 0 ? `, ${bundle.warnings.map(({ code }) => code).join(' ')}` : ''}`;

const list = defineCommand(
  'list <product>',
  'List the bundles of a product; * marks the active one.',
  'patchline bundles list kol',
).action(async (product: string, options: CommonOptions) => {
  const { store } = await openSession(options);
  const active = await activeVersion(store, product);
  const bundles = await listBundles(store, product);
  const shown = bundles.map((bundle) => ({ ...bundle, active: bundle.version === active }));
  answer(options, shown, bundles.length === 0 ? ['no bundle'] : bundles.map((bundle) => describe(bundle, active)));
});

const show = defineCommand(
  'show <product> [version]',
  'Show the card of a bundle: what it saw, its threshold, what to expect. Without a version, of the active one.',
  'patchline bundles show kol v3',
).action(async (product: string, version: string | undefined, options: CommonOptions) => {
  const { store } = await openSession(options);
  const bundle = await readBundle(store, product, version ?? (await requireActiveVersion(store, product)));
  const card = new TextDecoder().decode(await store.get(bundleCardKey(product, bundle.version)));
  answer(options, bundle, card.trimEnd().split('\n'));
});

const activate = defineCommand(
  'activate <product> <version>',
  'Inspect new images with this version from now on; running workers follow.',
  'patchline bundles activate kol v2',
).action(async (product: string, version: string, options: CommonOptions) => {
  const { store } = await openSession(options);
  await activateBundle(store, product, version);
  answer(options, { product, active: version }, [`${product}: ${version} is active`]);
});

export const bundles = defineGroup(
  'bundles',
  'What was learned for a product: list, show, activate, threshold.',
  'patchline bundles list kol',
  [list, show, activate, threshold],
);

import { requireActiveVersion } from '../producer/enqueue.js';
import { activateBundle, activeVersion, rollBackBundle } from '../shared/active-bundle.js';
import { type Bundle, bundleCardKey, type DamagedBundle, listBundles, readBundle } from '../shared/bundle.js';
import { diff } from './bundles-diff.js';
import { threshold } from './bundles-threshold.js';
import { answer, type CommonOptions, defineCommand, defineGroup, openSession } from './command-line.js';

function describe(bundle: Bundle | DamagedBundle, active: string | undefined): string {
  const head = `${bundle.version === active ? '*' : ' '} ${bundle.version.padEnd(5)}`;
  if ('damage' in bundle) return `${head} damaged: ${bundle.damage}`;
  const { createdAt, base, images, network, threshold, warnings } = bundle;
  const codes = warnings.map(({ code }) => code).join(' ');
  return (
    `${head} ${createdAt}  ${images} images${base ? `, grown from ${base}` : ''}, ${network.kind} network, ` +
    `threshold ${threshold.toFixed(3)}${codes === '' ? '' : `, ${codes}`}`
  );
}

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
  'Inspect new images with this version from now on, unless a part of it is damaged; running workers follow within 5 seconds.',
  'patchline bundles activate kol v2',
).action(async (product: string, version: string, options: CommonOptions) => {
  const { store } = await openSession(options);
  await activateBundle(store, product, version);
  answer(options, { product, active: version }, [`${product}: ${version} is active`]);
});

const rollback = defineCommand(
  'rollback <product>',
  'Go back to the version that was active before; once more, to the one before that.',
  'patchline bundles rollback kol',
).action(async (product: string, options: CommonOptions) => {
  const { store } = await openSession(options);
  const { from, to } = await rollBackBundle(store, product);
  answer(options, { product, from, active: to }, [`${product}: from ${from} back to ${to}, which is active now`]);
});

export const bundles = defineGroup(
  'bundles',
  'What was learned for a product: list, show, activate, rollback, diff, threshold.',
  'patchline bundles list kol',
  [list, show, activate, rollback, diff, threshold],
);

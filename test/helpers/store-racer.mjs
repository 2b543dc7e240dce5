// A process that races others for keys: node store-racer.mjs STORE NAME KEYS. Prints how many it won.
import { openStore } from '../../dist/shared/store/open-store.js';

const [url, name, keys] = process.argv.slice(2);
const store = await openStore(url);
const bytes = new TextEncoder().encode(name);
const won = await Promise.all(
  Array.from({ length: Number(keys) }, (_, i) => store.putIfAbsent(`race/${i}`, bytes, { metadata: { writer: name } })),
);
process.stdout.write(String(won.filter(Boolean).length));

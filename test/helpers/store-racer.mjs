// A process that works on one store together with others, from the moment it is told to: node store-racer.mjs STORE NAME COUNT claim|churn
import { once } from 'node:events';
import { openStore } from '../../dist/shared/store/open-store.js';

const [url, name, count, task] = process.argv.slice(2);
const store = await openStore(url);
const bytes = new TextEncoder().encode(name);
const options = { metadata: { writer: name } };

/** Puts keys that all want, one after the other; how many it got. */
async function claim() {
  let won = 0;
  for (let i = 0; i < count; i++) won += await store.putIfAbsent(`race/${i}`, bytes, options);
  return won;
}

/** Puts and deletes keys of its own in a folder that all empty; how many. */
async function churn() {
  const worker = async (i) => {
    for (let put = 0; put < count / 4; put++) {
      await store.put(`churn/deep/er/${name}${i}`, bytes, put % 2 ? options : {});
      await store.delete(`churn/deep/er/${name}${i}`);
    }
  };
  await Promise.all([1, 2, 3, 4].map(worker));
  return Number(count);
}

process.send('ready');
await once(process, 'message');
process.send(await (task === 'claim' ? claim() : churn()));
process.disconnect();

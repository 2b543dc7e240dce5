// A process that works on one store together with others: node store-racer.mjs STORE NAME. For each key that it is sent it reports
// whether it was the one to put it; sent a number, it puts and deletes so many keys of its own in a folder that all empty.
import { openStore } from '../../dist/shared/store/open-store.js';

const [url, name] = process.argv.slice(2);
const store = await openStore(url);
const bytes = new TextEncoder().encode(name);
const options = { metadata: { writer: name } };

async function churn(count) {
  const worker = async (i) => {
    for (let put = 0; put < count / 4; put++) {
      await store.put(`churn/deep/er/${name}${i}`, bytes, put % 2 ? options : {});
      await store.delete(`churn/deep/er/${name}${i}`);
    }
  };
  await Promise.all([1, 2, 3, 4].map(worker));
  return count;
}

process.on('message', async (task) => {
  process.send(await (typeof task === 'number' ? churn(task) : store.putIfAbsent(task, bytes, options)));
});
process.send('ready');

import { expect, test } from 'vitest';
import { orderedMap } from '../../../src/fit/ordered-map.js';

/** Calls that end when they are told to. */
function controlled() {
  const ends = new Map<number, () => void>();
  const map = (item: number) =>
    new Promise<number>((resolve, reject) => {
      ends.set(item, () => (item < 0 ? reject(new Error(`${item}`)) : resolve(10 * item)));
    });
  return { ends, map };
}

test('results come in the order of the items, whatever ends first', async () => {
  const { ends, map } = controlled();
  const results = orderedMap([1, 2, 3, 4], 3, map);
  const first = results.next();
  expect([...ends.keys()]).toEqual([1, 2, 3]);
  ends.get(3)!();
  ends.get(2)!();
  ends.get(1)!();
  expect((await first).value).toBe(10);
  expect((await results.next()).value).toBe(20);
  expect([...ends.keys()]).toEqual([1, 2, 3, 4]);
  ends.get(4)!();
  expect([(await results.next()).value, (await results.next()).value]).toEqual([30, 40]);
  expect((await results.next()).done).toBe(true);
});

test('a failure is thrown when its turn comes', async () => {
  const { ends, map } = controlled();
  const results = orderedMap([1, -2, 3], 3, map);
  const first = results.next();
  ends.get(-2)!();
  ends.get(1)!();
  ends.get(3)!();
  expect((await first).value).toBe(10);
  await expect(results.next()).rejects.toThrow('-2');
});

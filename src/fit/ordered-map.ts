/**
 * Maps items with up to `concurrency` at once and yields the results in the order of the items, so that whatever is summed from
 * them is the same however many threads there are.
 */
export async function* orderedMap<Item, Result>(
  items: Iterable<Item>,
  concurrency: number,
  map: (item: Item, index: number) => Promise<Result>,
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = [];
  let index = 0;
  for (const item of items) {
    if (running.length >= concurrency) yield await running.shift()!;
    const result = map(item, index++);
    result.catch(() => {}); // a failure is thrown when its turn comes
    running.push(result);
  }
  for (const result of running) yield await result;
}

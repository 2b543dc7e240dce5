const tails = new Map<string, Promise<unknown>>();

/** Runs the tasks of one name one after the other within this process, in the order of the calls. */
export async function inTurn<T>(name: string, task: () => Promise<T>): Promise<T> {
  const turn = (tails.get(name) ?? Promise.resolve()).then(task);
  const tail = turn.catch(() => undefined); // its own caller hears of a failure, the next one does not
  tails.set(name, tail);
  try {
    return await turn;
  } finally {
    if (tails.get(name) === tail) tails.delete(name);
  }
}

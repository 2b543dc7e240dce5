const answerWithinMs = 10_000;

/** What a receiver answers, or an error after 10 s without an answer. @param onLate gives up what was asked for */
export async function inTime<T>(answer: Promise<T>, onLate = () => {}): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${answerWithinMs / 1000} s`));
      onLate();
    }, answerWithinMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

import type { Reporter, TestModule } from 'vitest/node';

/** Ends a run with one plain line, `N passed, N failed[, N skipped]`, after naming what was skipped. */
export default class PlainSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const count = (state: string) => tests.filter((test) => test.result().state === state).length;
    const skipped = tests.filter((test) => test.result().state === 'skipped');
    for (const test of skipped) {
      const result = test.result();
      console.log(`skipped: ${test.fullName}: ${(result.state === 'skipped' && result.note) || 'no reason given'}`);
    }
    const broken = modules.filter((module) => module.state() === 'failed' && count('failed') === 0).length;
    const failed = count('failed') + (count('failed') === 0 ? Math.max(broken, errors.length) : 0);
    setImmediate(() =>
      console.log(`${count('passed')} passed, ${failed} failed${skipped.length ? `, ${skipped.length} skipped` : ''}`),
    );
  }
}

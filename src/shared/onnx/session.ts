import { InferenceSession } from 'onnxruntime-node';

/**
 * One onnxruntime session that computes in the calling thread only, so that as many threads as cores share the work.
 *
 * @param optimization `disabled` for a graph that runs once: optimising takes longer than running it
 */
export function createSession(model: Uint8Array, optimization: 'all' | 'disabled' = 'all'): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimization, // int8 graphs are three times slower below `all`
    logSeverityLevel: 3,
  });
}

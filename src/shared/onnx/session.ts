import { InferenceSession } from 'onnxruntime-node';

/** One onnxruntime session that computes in the calling thread only, so that as many threads as cores share the work. */
export function createSession(model: Uint8Array): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all', // int8 graphs are three times slower below `all`
    logSeverityLevel: 3,
  });
}

import { InferenceSession } from 'onnxruntime-node';
import { messageOf } from '../errors.js';
import type { PackedModel } from './packed-model.js';

/**
 * One onnxruntime session that computes in the calling thread only, so that as many threads as cores share the work.
 *
 * @param weights what the model keeps beside its bytes
 * @param optimization `disabled` for a graph that runs once: optimising takes longer than running it
 */
export function createSession(
  model: Uint8Array,
  optimization: 'all' | 'disabled' = 'all',
  weights: PackedModel['weights'] = [],
): Promise<InferenceSession> {
  return InferenceSession.create(model, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: optimization, // int8 graphs are three times slower below `all`
    logSeverityLevel: 4, // an error is thrown, so that it need not be printed too
    externalData: weights,
  });
}

/** Whether a session could not be created because onnxruntime does not know an operator, or not in this form. */
export const isOfUnknownOp = (error: unknown): boolean =>
  /No Op registered|not a registered|Could not find an implementation|NOT_IMPLEMENTED/.test(messageOf(error));

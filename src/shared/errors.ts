/** Every error code patchline can answer with, and what it means to the person who reads it. */
export const errorCodes = {
  ADDRESS_UNAVAILABLE: 'The HTTP server cannot listen at the host and port that it was given',
  ARGUMENT_INVALID: 'A command was called with a wrong argument or option',
  ARRAY_UNREADABLE: 'The bytes are not a whole .npy or .npz file, or hold a kind of number that cannot be read',
  BACKLOG_FULL: 'As many inspections are under way as limits.maxBacklog allows: send the image again later',
  BUNDLE_CANNOT_GROW: 'The bundle lacks what adding images to it needs: fit the product anew',
  BUNDLE_DAMAGED: 'A part of a bundle is missing, cut short or does not match its sha256',
  BUNDLE_NETWORK_MISMATCH: 'The bundle was fitted with another network file than the one in models/',
  BUNDLE_NOT_FOUND: 'The product has no such bundle version, or no active one',
  CAMERA_UNKNOWN: 'The camera is not configured and the store does not hold exactly one product',
  CAPTURE_TIME_INVALID:
    'The time of capture is no time, or lies ahead of the clock of the machine that takes the image in',
  CLASSIFIER_NOT_SUPPORTED: 'A classifier ends in a form that cannot be explained, or not by the method asked for',
  CONFIG_INVALID: 'The configuration has faults; all of them are listed',
  CONTRACT_VIOLATED: 'The data or the result of a job does not have the form that its stage promises',
  DATASET_INVALID: 'A folder given to fit or evaluate does not hold what is needed',
  EXPLANATION_INCONSISTENT: 'The parts of an explanation do not add up to what they explain',
  FEATURES_FAILED: 'The risk could not be attributed, because the features stage failed',
  FIT_NOT_CONVERGED: 'A model could not be fitted to its training rows; one of their values may not be finite',
  GRADIENT_UNREACHABLE: 'Nothing that can be differentiated leads from a tensor to what is explained',
  HISTORY_UNAVAILABLE: 'The history of inspections is not there or cannot be used',
  IMAGE_NOT_FOUND: 'The image key names no object',
  IMAGE_TOO_LARGE: 'The image has more bytes or more pixels than allowed',
  IMAGE_UNREADABLE: 'The bytes are not a whole image that can be decoded',
  INSPECTION_NOT_FOUND: 'No inspection with this id has a result or a job',
  KEY_INVALID: 'An object key is empty, too long, has a segment that no store can hold or is the folder of another',
  LOCK_LOST: 'Another worker has taken over the job; this run stops',
  MAPS_NOT_FOUND: 'No inspection that was asked for has such a map',
  METADATA_INVALID: 'Metadata of an object has a name, a value or a size that no store could hold',
  MODEL_DAMAGED: 'A network file is missing, is no whole ONNX model or does not match its sha256',
  MODEL_INPUT_MISMATCH: 'A network was given an input of another name, shape or type than it takes',
  OBJECT_NOT_FOUND: 'The store holds no object under this key',
  OP_NOT_SUPPORTED: 'A network holds an operation, or an element type, that cannot be worked with',
  PROCESS_DATA_INVALID: 'The process data of an image are not numbers by name, or too many',
  PROCESS_DATA_MISSING: "A product's own model takes process data that the image did not come with",
  QUEUE_UNREACHABLE: 'Redis does not answer, or none is configured and none was started',
  REDIS_EVICTS: 'Redis may drop jobs: its maxmemory-policy is not noeviction',
  REQUEST_FAILED: 'An HTTP request failed for a reason that is not one of the other codes',
  REQUEST_INVALID: 'An HTTP request has a wrong address, parameter, header or body',
  SERVER_ENDING: 'The HTTP server is ending: send the request again to the next one',
  SHAPE_MISMATCH: 'An array has another shape or length than expected',
  SINK_REFUSED: 'The receiver of a sink answers, but does not take an event',
  SINK_UNKNOWN: 'No sink of this name is configured',
  SINK_UNREACHABLE: 'The receiver of a sink does not answer, or takes nothing at the moment: its events wait',
  STAGE_FAILED: 'A stage failed for a reason that is not one of the other codes',
  STORE_IN_USE: 'Another process already runs a queue server for this store',
  STORE_UNREACHABLE: 'The object store does not answer or refuses access',
  TABLE_UNREADABLE: 'A table is no CSV file with a line of column names and as many values in each line',
  TABLE_UNSUITABLE: 'A model cannot be fitted to a table: too few rows, or a column of text or of one value only',
  TOKEN_INVALID: 'The bearer token of an HTTP request is missing or wrong',
  TOO_FEW_IMAGES: 'There are fewer training images than the method needs',
  UNSUPPORTED_FORMAT: 'The file is an image, but not of a kind that can be read',
  VALUES_NOT_FINITE: 'An array holds NaN or an infinity where only numbers make sense',
  WORK_GONE: 'What score stored for the explaining stages has been deleted: retry the inspection',
} as const;

export type ErrorCode = keyof typeof errorCodes;

export interface ErrorOptions {
  /** Whether the same call may succeed later without anything being mended. Default false. */
  retryable?: boolean;
  details?: Record<string, unknown>;
  cause?: unknown;
}

/** The one error type of patchline; its message has the form "Expected X for NAME but received V of type T" where that fits. */
export class PatchlineError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, { retryable = false, details = {}, cause }: ErrorOptions = {}) {
    super(message, { cause });
    this.name = 'PatchlineError';
    this.code = code;
    this.retryable = retryable;
    this.details = details;
  }
}

/** The code of any thrown value: its own for a PatchlineError, else STAGE_FAILED. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof PatchlineError ? error.code : 'STAGE_FAILED';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

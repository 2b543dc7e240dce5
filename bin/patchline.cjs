#!/usr/bin/env node
// CommonJS on purpose: in an ES module the thread pool has started before the first line could size it.
const { availableParallelism } = require('node:os');

process.env.UV_THREADPOOL_SIZE ??= String(Math.max(4, 2 * availableParallelism()));
process.env.ORT_DISABLE_TELEMETRY ??= '1';
process.env.LANCE_INCLUDE_VECTOR_CENTROIDS ??= 'false'; // LanceDB warns of a coming change unless it is told
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';
// As for the threads (src/shared/compute.ts): fewer collections of short-lived arrays.
require('node:v8').setFlagsFromString('--max-semi-space-size=32');
import('../dist/cli/index.js');

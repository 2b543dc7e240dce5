import type { QueueConfig } from '../shared/config.js';

/** The consumer group of a sink on each stream that it takes. */
export const groupOf = (sink: string): string => `sink-${sink}`;
/** Where a running sink says that its receiver is away. */
export const troubleKey = ({ prefix }: QueueConfig, sink: string): string => `${prefix}:sink:${sink}:trouble`;

import type { Logger } from '../../shared/logger.js';
import type { Producer } from '../enqueue.js';
import type { Backlog } from './backlog.js';
import type { EventFeed } from './event-feed.js';

/** What the routes share. */
export interface HttpContext {
  producer: Producer;
  logger: Logger;
  feed: EventFeed;
  backlog: Backlog;
  /** Aborted when the server is asked to end. */
  ending: AbortSignal;
}

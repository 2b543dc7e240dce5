// A process that runs an embedded Redis until it is killed: node embedded-redis-owner.mjs STORE
import { pino } from 'pino';
import { startEmbeddedRedis } from '../../dist/shared/embedded-redis.js';

const redis = await startEmbeddedRedis(process.argv[2], { logger: pino({ level: 'silent' }), onRestart: () => {} });
process.send({ url: redis.url, pid: redis.pid });
setInterval(() => {}, 1000);

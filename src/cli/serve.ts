import { InvalidArgumentError } from 'commander';
import { startHttpServer } from '../producer/http/server.js';
import { answer, type CommonOptions, defineCommand, remark, wholeNumber } from './command-line.js';
import { untilAskedToEnd, withConnection } from './connection.js';

const defaultPort = 8080;

function portNumber(text: string): number {
  const port = wholeNumber(0)(text);
  if (port > 65_535) throw new InvalidArgumentError('Expected a port up to 65535.');
  return port;
}

interface ServeOptions extends CommonOptions {
  port?: number;
  host?: string;
}

export const serve = defineCommand(
  'serve',
  'Take in images and answer with verdicts and results over HTTP, until SIGTERM.',
  'patchline serve --port 8080',
)
  .option(
    '--port <number>',
    `where to listen, 0 for any free port (default: serve.port, else ${defaultPort})`,
    portNumber,
  )
  .option('--host <address>', 'where to listen; beyond this machine only with a token (default: serve.host, 127.0.0.1)')
  .action(async (options: ServeOptions) => {
    await withConnection(options, async (connection) => {
      const { serve: settings } = connection.config;
      const server = await startHttpServer(connection, {
        port: options.port ?? settings.port ?? defaultPort,
        host: options.host ?? settings.host,
        token: settings.token,
      });
      answer(options, { url: server.url }, []);
      remark(`ready: ${server.url}`);
      await untilAskedToEnd();
      await server.close();
    });
  });

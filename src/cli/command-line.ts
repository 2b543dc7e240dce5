import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { type Config, loadConfig } from '../shared/config.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import { dateOf } from '../shared/keys.js';
import { createLogger, type Logger } from '../shared/logger.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { openStore } from '../shared/store/open-store.js';

/** Options that every command takes. */
export interface CommonOptions {
  store?: string;
  config?: string;
  json?: boolean;
}

/** A command with the common options and an example under its help. */
export function defineCommand(nameAndArguments: string, description: string, example: string): Command {
  const [name, ...args] = nameAndArguments.split(' ') as [string, ...string[]];
  const command = new Command(name);
  for (const argument of args) command.argument(argument);
  return command
    .description(description)
    .option('--store <where>', 'a directory or s3://bucket/prefix (default: PATCHLINE_STORE, else ./patchline-data)')
    .option('--config <file>', 'configuration (default: PATCHLINE_CONFIG, else ./patchline.yaml if there is one)')
    .option('--json', 'print one JSON document on stdout')
    .addHelpText('after', exampleText(example));
}

/** A command that only holds others. */
export function defineGroup(name: string, description: string, example: string, commands: Command[]): Command {
  const group = new Command(name).description(description).addHelpText('after', exampleText(example));
  for (const command of commands) group.addCommand(command);
  return group;
}

const exampleText = (example: string): string => `\nExample:\n${example.replace(/^/gm, '  ')}`;

export interface Session {
  config: Config;
  logger: Logger;
  store: ObjectStore;
}

/** Where a command works: the store of `--store`, else PATCHLINE_STORE, else ./patchline-data. */
export const storeUrlOf = (options: CommonOptions): string =>
  options.store ?? process.env.PATCHLINE_STORE ?? 'patchline-data';

export async function openSession(options: CommonOptions): Promise<Session> {
  const config = await loadConfig(options.config);
  return { config, logger: createLogger(config.logLevel), store: await openStore(storeUrlOf(options)) };
}

/** Prints what a command answers: one JSON document, or lines for people. */
export function answer({ json }: CommonOptions, value: unknown, lines: string[]): void {
  process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : lines.map((line) => `${line}\n`).join(''));
}

/** Progress and remarks: on stderr, so that stdout holds the answer alone. */
export const remark = (line: string): void => void process.stderr.write(`${line}\n`);

export const wholeNumber =
  (least: number) =>
  (text: string): number => {
    if (/^\d+$/.test(text) && Number(text) >= least && Number.isSafeInteger(Number(text))) return Number(text);
    throw new InvalidArgumentError(`Expected a whole number of at least ${least}.`);
  };

export function date(text: string): string {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
  if (isDay && dateOf(text) === text) return text; // 2026-02-30 parses too: as the second of March
  throw new InvalidArgumentError('Expected a date such as 2026-01-31.');
}

/** Runs the command line: exit 0 done, 1 failed, 2 wrong usage. */
export async function runCommandLine(program: Command, argv: string[]): Promise<void> {
  for (const command of [program, ...program.commands.flatMap((each) => [each, ...each.commands])]) {
    command
      .exitOverride()
      .showHelpAfterError('(--help shows how to use it)')
      .configureOutput({ outputError: (text, write) => write(text.replace(/^error/, 'ARGUMENT_INVALID')) });
  }
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error, argv.includes('--json'));
  }
}

function report(error: unknown, json: boolean): number {
  const isSaid = error instanceof CommanderError; // commander prints its own messages
  if (isSaid && error.exitCode === 0) return 0;
  const code = isSaid ? 'ARGUMENT_INVALID' : codeOf(error);
  const message = isSaid ? error.message.replace(/^error: /, '') : messageOf(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message } }, null, 2)}\n`);
  if (!isSaid) remark(`${code}: ${message}`);
  if (!isSaid && !(error instanceof PatchlineError) && error instanceof Error) remark(error.stack ?? '');
  return code === 'ARGUMENT_INVALID' ? 2 : 1;
}

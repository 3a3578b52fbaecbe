/**
 * The command line. Exit codes: 0 done, 1 failed or damage found, 2 asked for in a way that cannot
 * be, 3 not there, 4 not to be had at this time, 130 and 143 ended by SIGINT and SIGTERM. Who reads
 * the output may close it at any time: that ends with 0.
 */

import { Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '../broker/version.ts';
import { CliError, ExitCode } from './exit.ts';
import { addInspectCommands } from './inspect/commands.ts';
import { LOG_LEVELS, type ServeOptions, serve } from './serve.ts';
import { addSliceCommand } from './slice-command.ts';

/** Reads a port number; 0 lets the system choose. */
function port(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || number > 65535) {
    throw new InvalidArgumentError('A port is a number from 0 to 65535.');
  }
  return number;
}

function oneMore(text: string, before: readonly string[]): string[] {
  return [...before, text];
}

let isServing = false;

const program = new Command('tailrace')
  .description('A log broker that speaks the Kafka wire protocol.')
  .version(VERSION, '--version')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : ExitCode.usage));

program
  .command('serve')
  .description('Runs a broker in the foreground until SIGINT (Ctrl+C) or SIGTERM.')
  .option('--port <number>', 'port to listen on, 0 for one that is free (9092)', port)
  .option('--host <address>', 'address to listen on (127.0.0.1)')
  .option('--data <folder>', 'where the data is kept (./data)')
  .option('--config <file>', "a file in the form of Apache Kafka's server.properties")
  .option('--set <name=value>', 'one configuration; may be given several times', oneMore, [])
  .addOption(
    new Option('--log-level <level>', 'what is logged (info, or warn on a terminal)').choices(
      LOG_LEVELS,
    ),
  )
  .addHelpText(
    'after',
    '\nEnvironment variables KAFKA_LOG_RETENTION_MS and so on set log.retention.ms and so on.' +
      '\nThe command line comes before the environment, the environment before the file.',
  )
  .action(async (options: ServeOptions) => {
    await serve(options);
    isServing = true;
  });

addInspectCommands(program);
addSliceCommand(program);

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

/** How it went, when the command is done or the broker of `serve` serves its clients. */
export const outcome: Promise<'serves' | 'done'> = program.parseAsync().then(
  () => (isServing ? 'serves' : 'done'),
  (error: unknown) => {
    process.stderr.write(`tailrace: ${(error as Error).message}\n`);
    process.exit(error instanceof CliError ? error.exitCode : ExitCode.failed);
  },
);

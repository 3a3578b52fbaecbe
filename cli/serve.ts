/** `tailrace serve`: one broker in the foreground, until it is told to stop. */

import path from 'node:path';
import { Broker } from '../broker/broker.ts';
import {
  Config,
  ConfigurationError,
  type Setting,
  settingsOfEnvironment,
  settingsOfFlags,
  settingsOfProperties,
} from '../broker/config.ts';
import { type LogLevel, stopOnSignals, systemLog, systemWorld } from '../broker/main.ts';
import { VERSION } from '../broker/version.ts';
import type { Disk } from '../storage/env.ts';
import { UsageError } from './exit.ts';

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 9092;

export interface ServeOptions {
  readonly port?: number;
  readonly host?: string;
  readonly data?: string;
  readonly config?: string;
  readonly set: readonly string[];
  readonly logLevel?: LogLevel;
}

/** Resolves when the broker serves clients; the process goes on until a signal ends it. */
export async function serve(options: ServeOptions): Promise<void> {
  const log = systemLog(options.logLevel ?? (process.stderr.isTTY ? 'warn' : 'info'));
  const world = systemWorld(log);
  const config = await readConfig(options, world.env.disk);
  const isSaid = options.logLevel === undefined && config.staticValues.has('log.level');
  if (isSaid) log.level = config.get('log.level');
  const broker = await Broker.launch(config, world);
  stopOnSignals(
    () => broker.stop(),
    (error) => log.error({ err: error }, 'stopping failed'),
  );
  process.stdout.write(`${readyLine(broker)}\n`);
}

/** The configuration of file, environment and flags; `fixed` comes before all of them. */
export async function readConfig(
  options: ServeOptions,
  disk: Disk,
  fixed: readonly Setting[] = [],
): Promise<Config> {
  try {
    return new Config([...(await settingsOf(options, disk)), ...fixed]);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new UsageError(error.message);
    throw error;
  }
}

async function settingsOf(options: ServeOptions, disk: Disk): Promise<Setting[]> {
  const settings = settingsOfEnvironment(process.env);
  if (options.config !== undefined) {
    const file = await disk.readFile(options.config);
    if (file === undefined) throw new UsageError(`there is no file ${options.config}`);
    settings.push(...settingsOfProperties(file.toString('utf8'), path.basename(options.config)));
  }
  settings.push(...flagsOf(options.set));
  if (options.port !== undefined || options.host !== undefined) {
    if (options.set.some((text) => text.startsWith('listeners='))) {
      throw new UsageError('--port and --host cannot stand beside --set listeners=...');
    }
    const { host = DEFAULT_HOST, port = DEFAULT_PORT } = options;
    const address = host.includes(':') ? `[${host}]` : host;
    settings.push(flag('listeners', `PLAINTEXT://${address}:${port}`));
  }
  if (options.data !== undefined) settings.push(flag('log.dirs', options.data));
  return settings;
}

function flagsOf(texts: readonly string[]): Setting[] {
  try {
    return settingsOfFlags(texts);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A setting as if it were given on the command line. */
export function flag(name: string, value: string): Setting {
  return { name, value, origin: 'command line', kind: 'flag' };
}

/** Where it listens, where its data is, how to stop it. */
function readyLine(broker: Broker): string {
  const listeners = broker.listeners.map(({ host, port }) =>
    host.includes(':') ? `[${host}]:${port}` : `${host === '' ? '*' : host}:${port}`,
  );
  const data = path.resolve(broker.dataDir);
  return (
    `tailrace ${VERSION} listens on ${listeners.join(' and ')}, keeps its data in ${data}, ` +
    `and stops on Ctrl+C or SIGTERM (pid ${process.pid})`
  );
}

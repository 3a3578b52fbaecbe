/**
 * `tailrace segments compact`: has compacted logs cleaned now, by the broker that runs, or by opening
 * the folder of one that was stopped cleanly. All closed segments are kept in a backup first, and
 * nothing above them is touched.
 */

import path from 'node:path';
import { Closers, openData } from '../../broker/composition.ts';
import { systemLog, systemWorld } from '../../broker/main.ts';
import { StorageError } from '../../storage/errors.ts';
import {
  type FoundLog,
  type FoundSegment,
  readLogFolder,
} from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { CliError, ExitCode, UsageError } from '../exit.ts';
import { flag, readConfig } from '../serve.ts';
import { BACKUPS_FOLDER, keepSegments } from './backup.ts';
import { askBroker, askDoor } from './live.ts';
import { print, printJson, sizeText } from './output.ts';
import { disk, type Selection, type SourceOptions, select } from './source.ts';

export interface CompactOptions extends SourceOptions {
  readonly backup?: string;
  readonly config?: string;
  readonly set: readonly string[];
}

/** Cleans a log below an offset; false when nothing could be cleaned. */
type Clean = (log: FoundLog, topicId: string, below: number) => Promise<boolean>;

/** No round of its own work within the time that a tool runs. */
const NEVER_MS = String(2 ** 31 - 1);

export async function compactLogs(
  names: readonly string[],
  options: CompactOptions,
): Promise<void> {
  if (names.some((name) => /[\\/]/.test(name))) {
    throw new UsageError('a log is compacted by its name, in its data folder');
  }
  const selection = await select(options, names, new Findings());
  if ((await askBroker(options.data)) !== undefined) {
    await compactAll(selection, options, (log, topicId, below) =>
      askToClean(options.data, topicId, log.partition, below),
    );
    return;
  }
  if (!selection.folder?.wasStoppedCleanly) {
    throw new CliError(
      `the broker of ${options.data} was not stopped cleanly, or runs and cannot be asked: ` +
        'start it, so that it recovers its logs, and try again',
      ExitCode.unavailable,
    );
  }
  await withOpenFolder(selection, options, (clean) => compactAll(selection, options, clean));
}

async function askToClean(
  dataDir: string,
  topicId: string,
  partition: number,
  below: number,
): Promise<boolean> {
  const lines = (await askDoor(dataDir, { ask: 'compact', topicId, partition, below })) ?? [];
  const last = lines.at(-1);
  if (last !== undefined && 'refused' in last) throw new CliError(last.refused);
  if (last !== undefined && 'cleaned' in last) return last.cleaned;
  throw new CliError('the broker has gone', ExitCode.unavailable);
}

/** Opens logs as a start would, without what serves clients, and closes them cleanly. */
async function withOpenFolder(
  { folder }: Selection,
  options: CompactOptions,
  run: (clean: Clean) => Promise<void>,
): Promise<void> {
  const world = systemWorld(systemLog('warn'));
  const fixed = [
    flag('log.dirs', options.data),
    flag('log.cleaner.backoff.ms', NEVER_MS),
    flag('log.retention.check.interval.ms', NEVER_MS),
    ...(folder?.meta === undefined ? [] : [flag('node.id', String(folder.meta.nodeId))]),
  ];
  const config = await readConfig(options, world.env.disk, fixed);
  const closers = new Closers();
  try {
    const { logs } = await openData(config, world, closers);
    await run(async (log, topicId, below) => {
      try {
        return await logs.cleanNow(topicId, log.partition, below);
      } catch (error) {
        throw error instanceof StorageError ? new CliError(error.message) : error;
      }
    });
  } finally {
    await closers.run();
  }
}

async function compactAll(
  { logs }: Selection,
  options: CompactOptions,
  clean: Clean,
): Promise<void> {
  const backups = options.backup ?? path.join(options.data, BACKUPS_FOLDER);
  for (const log of logs) {
    const closed = log.segments.slice(0, -1);
    const below = log.segments.at(-1)?.baseOffset;
    if (closed.length === 0 || below === undefined || log.topicId === undefined) {
      told(options, log, { cleaned: false, reason: 'it has no closed segment' });
      continue;
    }
    const backup = await keepSegments(log, closed, backups);
    const isCleaned = await clean(log, log.topicId, below);
    const now = await readLogFolder(disk, log.folder);
    // What is kept is still in use: it needs no second name.
    const isAsBefore = now !== undefined && closed.every((segment) => isIn(now, segment));
    if (isAsBefore) await disk.removeTree(backup);
    const sizes = { before: sizeOf(log), after: now && sizeOf(now) };
    const kept = isAsBefore ? {} : { ...sizes, backup };
    const reason = 'it is clean already, or the log of the broker says why it cannot be cleaned';
    told(options, log, { cleaned: isCleaned, ...(isCleaned ? {} : { reason }), ...kept });
  }
}

function isIn({ segments }: FoundLog, { baseOffset, device, inode, sizeBytes }: FoundSegment) {
  const same = segments.find((segment) => segment.baseOffset === baseOffset);
  return same?.device === device && same.inode === inode && same.sizeBytes === sizeBytes;
}

function sizeOf({ segments }: FoundLog): number {
  return segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

interface Outcome {
  readonly cleaned: boolean;
  readonly reason?: string;
  readonly before?: number;
  readonly after?: number | undefined;
  readonly backup?: string;
}

function told({ json }: CompactOptions, { name, topic, partition }: FoundLog, outcome: Outcome) {
  const { cleaned, reason, before, after, backup } = outcome;
  if (json) {
    printJson({ topic, partition, ...outcome });
    return;
  }
  const what = cleaned ? 'cleaned' : `not cleaned: ${reason}`;
  const sizes = before === undefined ? '' : `; ${sizeText(before)} became ${sizeText(after)}`;
  print(`${name}: ${what}${sizes}${backup === undefined ? '' : `, kept in ${backup}`}`);
}

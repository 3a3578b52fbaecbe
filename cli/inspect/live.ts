/**
 * What the broker that has a data folder says of its logs. It is asked over the socket in the
 * folder; where a broker has the folder and cannot be asked, that is told, and the files must do.
 */

import net from 'node:net';
import { doorOf, silentLog, systemWorld } from '../../broker/main.ts';
import type { DoorLine, DoorQuestion } from '../../broker/operator-door.ts';
import { lockHolder } from '../../storage/folder-lock.ts';
import type { LiveLog } from '../../storage/inspect/live.ts';
import type { StorageGauges } from '../../storage/types.ts';
import { CliError, ExitCode } from '../exit.ts';
import { sizeText, tell } from './output.ts';

/** A broker that is busy answers late. */
const ANSWER_MS = 15_000;
/** There is no socket, or nobody listens on it any more. */
const NOBODY = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK']);

export interface LiveBroker {
  /** By the names of their folders. */
  readonly logs: ReadonlyMap<string, LiveLog>;
  readonly gauges: StorageGauges;
}

/** Asks the broker of a data folder; undefined, with a note where one runs, when none answers. */
export async function askBroker(dataDir: string): Promise<LiveBroker | undefined> {
  const lines = await askDoor(dataDir, { ask: 'logs' });
  if (lines === undefined) {
    const holder = await lockHolder(systemWorld(silentLog).env, dataDir);
    if (holder !== undefined) {
      tell(
        `a broker (process ${holder.processId} on ${holder.hostName}) has this folder and cannot be ` +
          'asked: what only it knows is missing',
      );
    }
    return undefined;
  }
  const logs = new Map<string, LiveLog>();
  let gauges: StorageGauges | undefined;
  for (const line of lines) {
    if ('log' in line) logs.set(`${line.log.topic}-${line.log.partition}`, line.log);
    else if ('gauges' in line) gauges = line.gauges;
    else throw new CliError(`the broker says: ${JSON.stringify(line)}`);
  }
  if (gauges === undefined) throw new CliError('the answer was cut', ExitCode.unavailable);
  return { logs, gauges };
}

/** All lines of an answer; undefined where nobody listens. */
export async function askDoor(
  dataDir: string,
  question: DoorQuestion,
): Promise<DoorLine[] | undefined> {
  const door = doorOf(dataDir);
  if (door === undefined) return undefined;
  const socket = net.connect(door);
  socket.setEncoding('utf8');
  socket.setTimeout(ANSWER_MS, () => {
    const message = `the broker did not answer within ${ANSWER_MS / 1000} s`;
    socket.destroy(new CliError(message, ExitCode.unavailable));
  });
  socket.write(`${JSON.stringify(question)}\n`);
  let text = '';
  try {
    for await (const chunk of socket) text += chunk;
  } catch (error) {
    if (NOBODY.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as DoorLine);
}

/** What a log has beside its files, for people. */
export function liveText(live: LiveLog): string {
  const { persistedOffset, endOffset, memoryBytes, memoryChunks, queuedBytes, queuedChunks } = live;
  const inMemory =
    memoryChunks === 0
      ? 'nothing only in memory'
      : `only in memory: offsets ${persistedOffset} to ${endOffset}, ${sizeText(memoryBytes)} in ` +
        `${memoryChunks} chunks, of which ${sizeText(queuedBytes)} in ${queuedChunks} wait for the disk`;
  const failure = live.failure === undefined ? '' : `; it takes nothing: ${live.failure}`;
  return (
    `high watermark ${live.highWatermark}, last stable offset ${live.lastStableOffset}, durable to ` +
    `${live.durableOffset}; ${inMemory}${failure}`
  );
}

/** What the broker has under way, for people. */
export function gaugesText(gauges: StorageGauges): string {
  const { queueBytes, queueLimitBytes, queuedChunks, tailBytes, heldSources } = gauges;
  return (
    `open chunks ${sizeText(tailBytes)}; flush queue ${sizeText(queueBytes)} of ` +
    `${sizeText(queueLimitBytes)} in ${queuedChunks} chunks, ${heldSources} sources held back; ` +
    `journal ${sizeText(gauges.journalBytes)} of ${sizeText(gauges.journalLimitBytes)}`
  );
}

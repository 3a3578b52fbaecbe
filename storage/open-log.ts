/**
 * Opens the log of one partition: its segments, its epochs, the producers' state, then what an
 * unclean stop left in the journal, which is written to the segments, and the gap that a power cut
 * may have left between what is there and what may have been given out.
 */

import { type BatchHeader, readBatchHeader } from '../protocol/record-batch.ts';
import { gapBatch } from '../protocol/records.ts';
import type { LogEnd } from './checkpoint.ts';
import { type JournaledBatch, readRun } from './journal-payload.ts';
import type { JournaledLog } from './journal-replay.ts';
import { LeaderEpochs } from './leader-epochs.ts';
import type { LogContext } from './log-context.ts';
import { PartitionLog } from './partition-log.ts';
import { restoreProducers } from './producer-restore.ts';
import { ProducerStates } from './producer-state.ts';
import { SegmentLog } from './segment-log.ts';
import type { AbortedTxn } from './txn-index.ts';
import type { LogOptions } from './types.ts';
import type { WritePath } from './write-path.ts';

/** Offsets that one batch can take. */
const GAP_MAX_OFFSETS = 0x7fff_ffff;

export interface LogIdentity {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly options: LogOptions;
}

/** What is known of a log from outside of its folder. */
export interface LogPast {
  readonly wasClean: boolean;
  /** All below is in fsynced segments; undefined when unknown. */
  readonly recoveryPoint: number | undefined;
  readonly logStartOffset: number | undefined;
  /** Where the log ended at the last clean stop. */
  readonly knownEnd: LogEnd | undefined;
  readonly journaled: JournaledLog | undefined;
  /** The machine was off since the journal was written: leases count. */
  readonly isForeign: boolean;
  /** Called with bytes that were checked. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A log of which nothing is on the disk yet; its folder comes with its first chunk. */
export function newLog(
  files: LogContext,
  path: WritePath,
  dataDir: string,
  identity: LogIdentity,
): PartitionLog {
  const segments = SegmentLog.create(files, { ...identity, dataDir }, identity.options, 0);
  return new PartitionLog(path, {
    ...identity,
    segments,
    epochs: new LeaderEpochs(files.env.disk, segments.folder),
    producers: new ProducerStates(0),
    logStartOffset: 0,
    leaderEpoch: 0,
  });
}

export async function openLog(
  files: LogContext,
  path: WritePath,
  dataDir: string,
  identity: LogIdentity,
  past: LogPast,
): Promise<PartitionLog> {
  const knownStart = past.logStartOffset ?? 0;
  const firstOffset = firstOffsetNeeded(knownStart, past.journaled);
  const segments = await SegmentLog.open(files, { ...identity, dataDir }, identity.options, {
    cleanShutdown: past.wasClean,
    powerLost: past.isForeign,
    recoveryPoint: past.recoveryPoint ?? 0,
    knownEnd: past.knownEnd,
    logStartOffset: firstOffset,
    onProgress: past.onProgress,
  });
  if (segments.endsInDamage) await segments.roll();
  const logStartOffset = Math.max(knownStart, segments.firstOffset);
  const epochs = await restoreEpochs(files, segments);
  const producers =
    segments.isEndKnown && past.knownEnd?.producers === 0
      ? new ProducerStates(segments.endOffset)
      : await restoreProducers(files, segments, (header) => noteEpoch(epochs, header));
  const log = { identity, segments, epochs, producers };
  const synced = past.recoveryPoint ?? 0;
  if (past.journaled !== undefined) await replay(files, log, past.journaled, synced);
  if (segments.endOffset < knownStart) {
    // What should have led up to the log start is damaged: the log begins there, without it.
    await segments.close();
    const journaled = past.journaled && { ...past.journaled, runs: [] };
    return openLog(files, path, dataDir, identity, { ...past, journaled });
  }
  await closeLoss(files, log, synced);
  const leaderEpoch = epochs.latest + 1;
  if (past.isForeign) await closeLease(files, log, past.journaled?.leaseEnd ?? 0, leaderEpoch);
  return new PartitionLog(path, { ...identity, ...log, logStartOffset, leaderEpoch });
}

/** The epochs as the file has them; where it is gone, as the batches do. */
async function restoreEpochs(files: LogContext, segments: SegmentLog): Promise<LeaderEpochs> {
  const { folder, firstOffset, endOffset } = segments;
  const epochs = await LeaderEpochs.load(files.env, folder, files.startDisk);
  epochs.truncateFromEnd(endOffset);
  if (epochs.latest >= 0 || firstOffset === endOffset) return epochs;
  files.env.log.warn({ folder }, 'the leader epochs are read from the batches again');
  await segments.scan(firstOffset, endOffset, (window, at) => {
    noteEpoch(epochs, readBatchHeader(window, at));
    return true;
  });
  return epochs;
}

/** The file may lack the epoch of batches that came to the segments just before a crash. */
function noteEpoch(epochs: LeaderEpochs, { leaderEpoch, baseOffset }: BatchHeader): void {
  if (leaderEpoch > epochs.latest) epochs.assign(leaderEpoch, baseOffset);
}

/**
 * Where reading begins: with all that leads up to the log start without a hole in the journal. The
 * log start may lie within a batch that only the journal has, and of batches whose records were
 * deleted the producers are still to be known.
 */
function firstOffsetNeeded(logStartOffset: number, journaled: JournaledLog | undefined): number {
  let first = logStartOffset;
  let end = -1;
  for (const run of journaled?.runs ?? []) {
    first = run.previousEnd > end ? run.previousEnd : Math.min(first, run.previousEnd);
    end = run.end;
    if (end > logStartOffset) return Math.min(first, logStartOffset);
  }
  return logStartOffset;
}

interface Opening {
  readonly identity: LogIdentity;
  readonly segments: SegmentLog;
  readonly epochs: LeaderEpochs;
  readonly producers: ProducerStates;
}

/** Writes to the segments what the journal has and they have not; stops at the first mismatch. */
async function replay(
  files: LogContext,
  log: Opening,
  journaled: JournaledLog,
  synced: number,
): Promise<void> {
  const { segments, identity } = log;
  const { topic, partition } = identity;
  const from = segments.endOffset;
  for (const run of journaled.runs) {
    if (run.end <= segments.endOffset) continue;
    const place = { topic, partition, path: run.file.path, position: run.position };
    // What the journal has must not be lost with what the segments have lost.
    if (run.previousEnd <= synced) await closeLoss(files, log, run.previousEnd);
    if (run.previousEnd > segments.endOffset) {
      const facts = { ...place, expected: segments.endOffset, found: run.previousEnd };
      files.env.log.warn(facts, 'the journal lacks a piece of this log: the rest is left out');
      break;
    }
    const { batches, fault } = await readRun(run, segments.endOffset);
    await appendBatches(files, log, batches);
    if (fault === undefined) continue;
    const facts = { ...place, offset: segments.endOffset, reason: fault };
    if (run.wasSynced) {
      run.file.isDamaged = true;
      files.env.log.error(facts, 'a batch in the journal is damaged: this log ends before it');
    } else {
      files.env.log.warn(facts, 'the end of the journal was not written whole: it is cut');
    }
    break;
  }
  if (segments.endOffset === from) return;
  await segments.sync((isNameSynced) => log.epochs.save(segments.endOffset, isNameSynced));
  const facts = { topic, partition, from, end: segments.endOffset };
  files.env.log.info(facts, 'what the journal had of a log was written to its segments');
}

async function appendBatches(
  files: LogContext,
  log: Opening,
  batches: readonly JournaledBatch[],
): Promise<void> {
  if (batches.length === 0) return;
  const nowMs = files.env.clock.now();
  const aborted: AbortedTxn[] = [];
  for (const { header, bytes } of batches) {
    log.epochs.assign(header.leaderEpoch, header.baseOffset);
    const completed = log.producers.append(header, bytes, 0, nowMs);
    if (completed?.aborted === true) aborted.push(completed);
  }
  const extents = batches.map(({ header }) => header);
  await log.segments.append(
    batches.map(({ bytes }) => bytes),
    extents,
    aborted,
  );
}

/**
 * The segments end below what was synced once: files were cut or taken away. That is reported, and
 * the offsets are taken out of use, so that they never name other records.
 */
async function closeLoss(files: LogContext, log: Opening, synced: number): Promise<void> {
  const { segments, identity, epochs } = log;
  const { endOffset } = segments;
  if (endOffset >= synced) return;
  await closeGap(files, log, synced, Math.max(0, epochs.latest));
  const { topic, partition } = identity;
  files.env.log.error(
    { topic, partition, folder: segments.folder, from: endOffset, to: synced },
    'records that were synced are missing: their offsets are taken out of use',
  );
}

/** Offsets up to the lease may have been given out and are not there any more. */
async function closeLease(
  files: LogContext,
  log: Opening,
  leaseEnd: number,
  leaderEpoch: number,
): Promise<void> {
  const { segments, identity } = log;
  const baseOffset = segments.endOffset;
  if (leaseEnd <= baseOffset) return;
  await closeGap(files, log, leaseEnd, leaderEpoch);
  const { topic, partition } = identity;
  files.env.log.warn(
    { topic, partition, baseOffset, endOffset: leaseEnd },
    'after a power cut: offsets that may have been given out are taken out of use',
  );
}

/** Batches without data take the offsets up to an end, so that they never name other records. */
async function closeGap(
  files: LogContext,
  log: Opening,
  end: number,
  leaderEpoch: number,
): Promise<void> {
  const { segments } = log;
  const timestamp = files.env.clock.now();
  while (segments.endOffset < end) {
    const from = segments.endOffset;
    const to = Math.min(end, from + GAP_MAX_OFFSETS);
    const bytes = gapBatch({ from, to, leaderEpoch, timestamp });
    await appendBatches(files, log, [{ bytes, header: readBatchHeader(bytes, 0) }]);
  }
  await segments.sync((isNameSynced) => log.epochs.save(segments.endOffset, isNameSynced));
}

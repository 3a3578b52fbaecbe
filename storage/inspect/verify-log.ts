/**
 * Checks all files of one log against each other: every batch's checksum and records, the order of
 * offsets over all segments, the indexes, the leader epochs, the producer snapshots, the checkpoints.
 * Reads each segment once. What a start puts right by itself, such as the torn tail that a kill
 * leaves, is a note; all else is damage.
 */

import path from 'node:path';
import { type BatchHeader, readBatchHeader } from '../../protocol/record-batch.ts';
import { MarkerType, payloadOf, readEndTxnMarker } from '../../protocol/records.ts';
import type { Disk, DiskFile } from '../env.ts';
import { CorruptLog } from '../errors.ts';
import { OFFSET_ENTRY_BYTES } from '../offset-index.ts';
import { ProducerStates } from '../producer-state.ts';
import {
  INDEX_SUFFIX,
  segmentFileName,
  TIME_INDEX_SUFFIX,
  TXN_INDEX_SUFFIX,
} from '../segment-names.ts';
import { type BufferSource, findBatch, type ScanRange, walkChecked } from '../segment-scan.ts';
import { TIME_ENTRY_BYTES } from '../time-index.ts';
import { ABORTED_TXN_BYTES } from '../txn-index.ts';
import type { FoundLog, FoundSegment } from './data-folder.ts';
import { EpochCheck } from './epoch-check.ts';
import type { Findings } from './findings.ts';
import {
  OffsetIndexCheck,
  TimeIndexCheck,
  TxnIndexCheck,
  withoutPreallocated,
} from './index-checks.ts';
import { openIfThere } from './open-if-there.ts';
import { recordsFault, type Uncompress } from './record-check.ts';
import { SnapshotChecks } from './snapshot-checks.ts';
import { verifyLogFiles } from './verify-files.ts';

export interface VerifyTools {
  readonly disk: Disk;
  readonly buffers: BufferSource;
  readonly uncompress: Uncompress;
  readonly findings: Findings;
  /** Called with bytes that were read. */
  readonly onProgress: (bytes: number) => void;
  /** The broker stopped cleanly: nothing at an end may be torn or missing. */
  readonly isWhole: boolean;
}

/** What a verification went through. */
export interface Verified {
  segments: number;
  batches: number;
  records: number;
}

interface Indexes {
  readonly offsets: OffsetIndexCheck | undefined;
  readonly times: TimeIndexCheck | undefined;
  readonly txns: TxnIndexCheck;
}

export async function verifyLog(tools: VerifyTools, log: FoundLog): Promise<Verified> {
  return new LogVerification(tools, log).run();
}

class LogVerification {
  readonly #tools: VerifyTools;
  readonly #log: FoundLog;
  readonly #done: Verified = { segments: 0, batches: 0, records: 0 };
  readonly #producers: ProducerStates;
  readonly #epochs: EpochCheck;
  readonly #snapshots: SnapshotChecks;
  #endOffset = 0;
  /** Batches could not be read: what follows from all batches cannot be compared any more. */
  #hasGap = false;

  constructor(tools: VerifyTools, log: FoundLog) {
    this.#tools = tools;
    this.#log = log;
    this.#producers = new ProducerStates(log.segments[0]?.baseOffset ?? 0);
    this.#epochs = new EpochCheck(tools, log);
    this.#snapshots = new SnapshotChecks(tools, log);
  }

  async run(): Promise<Verified> {
    const { segments } = this.#log;
    const { findings } = this.#tools;
    await this.#epochs.load();
    await this.#snapshots.load();
    for (let index = 0; index < segments.length && !findings.isFull; index++) {
      await this.#segment(segments[index]!, segments[index + 1]?.baseOffset);
      this.#done.segments++;
    }
    if (findings.isFull) return this.#done;
    this.#snapshots.end(this.#endOffset, this.#hasGap ? undefined : this.#producers);
    this.#epochs.end(this.#endOffset);
    await verifyLogFiles(this.#tools, this.#log, this.#endOffset);
    return this.#done;
  }

  async #segment(segment: FoundSegment, nextBase: number | undefined): Promise<void> {
    const { disk, findings } = this.#tools;
    const indexes = await this.#openIndexes(segment, nextBase !== undefined);
    const file = await openIfThere(disk, segment.path);
    if (file === undefined) {
      findings.note(segment.path, undefined, 'the broker removed it meanwhile');
      this.#hasGap = true;
      return;
    }
    this.#endOffset = segment.baseOffset;
    try {
      const isRead = await this.#walk(file, segment, nextBase, indexes);
      if (!isRead || findings.isFull) return;
      indexes.offsets?.end();
      indexes.times?.end(nextBase !== undefined);
      indexes.txns.passTo(Number.POSITIVE_INFINITY);
    } finally {
      await file.close();
    }
  }

  /** Gives true when all batches of the segment could be read. */
  async #walk(
    file: DiskFile,
    segment: FoundSegment,
    nextBase: number | undefined,
    indexes: Indexes,
  ): Promise<boolean> {
    const { buffers, findings, onProgress } = this.#tools;
    const { baseOffset, sizeBytes: end } = segment;
    let range: ScanRange = { file, baseOffset, start: 0, end, toOffset: nextBase };
    let isRead = true;
    for (;;) {
      let told = range.start;
      const stop = await walkChecked(range, buffers, (window, at, position) => {
        onProgress(position - told);
        told = position;
        this.#batch(segment, indexes, window, at, position);
        return !findings.isFull;
      });
      onProgress(stop.position - told);
      if (stop.fault === undefined) return isRead;
      isRead = false;
      const fromOffset = stop.nextOffset ?? range.fromOffset;
      const next = { ...range, start: stop.position + 1, fromOffset };
      const found = await findBatch(next, buffers);
      this.#unreadable(segment, stop.position, stop.fault, found, nextBase);
      if (found === undefined || findings.isFull) return false;
      onProgress(found - stop.position);
      range = { ...next, start: found };
    }
  }

  #unreadable(
    { path: file, sizeBytes }: FoundSegment,
    position: number,
    fault: string,
    found: number | undefined,
    nextBase: number | undefined,
  ): void {
    const { findings, isWhole } = this.#tools;
    const isTail = found === undefined && nextBase === undefined && !isWhole;
    if (isTail) {
      const reason = `${sizeBytes - position} bytes of a write that did not end: ${fault}`;
      findings.note(file, position, reason);
      return;
    }
    this.#hasGap = true;
    const upTo = found === undefined ? 'no sound batch follows' : `sound again at ${found}`;
    findings.damage(file, position, `${fault}; ${upTo}`);
  }

  #batch(
    segment: FoundSegment,
    indexes: Indexes,
    window: Buffer,
    at: number,
    position: number,
  ): void {
    const { findings, uncompress } = this.#tools;
    const header = readBatchHeader(window, at);
    this.#done.batches++;
    this.#done.records += header.recordCount;
    const fault = recordsFault(window, at, header, uncompress);
    if (fault !== undefined) findings.damage(segment.path, position, fault);
    indexes.offsets?.batch(header, position);
    indexes.times?.batch(header);
    this.#epochs.batch(header, segment.path, position);
    if (!this.#hasGap) this.#snapshots.reached(header.baseOffset, this.#producers);
    this.#producer(segment, indexes.txns, header, window, at, position);
    this.#endOffset = header.lastOffset + 1;
  }

  #producer(
    segment: FoundSegment,
    txns: TxnIndexCheck,
    header: BatchHeader,
    window: Buffer,
    at: number,
    position: number,
  ): void {
    let firstOffset: number | undefined;
    try {
      const completed = this.#producers.append(header, window, at, 0);
      if (completed?.aborted === true) firstOffset = completed.firstOffset;
    } catch (error) {
      if (!(error instanceof CorruptLog)) throw error;
      this.#tools.findings.damage(segment.path, position, error.message);
      return;
    }
    if (!header.control || header.producerId < 0) return;
    const marker = readEndTxnMarker(payloadOf(window, at));
    if (marker?.type !== MarkerType.abort) return;
    txns.marker({ producerId: header.producerId, offset: header.lastOffset, firstOffset });
  }

  async #openIndexes(segment: FoundSegment, isClosed: boolean): Promise<Indexes> {
    const { disk, findings, isWhole } = this.#tools;
    const { baseOffset, sizeBytes } = segment;
    const read = async (suffix: string, entryBytes: number) => {
      const file = path.join(this.#log.folder, segmentFileName(baseOffset, suffix));
      const fault = (at: number, reason: string) => findings.damage(file, at, reason);
      const stored = await disk.readFile(file);
      const bytes = stored && !isClosed ? withoutPreallocated(stored, entryBytes) : stored;
      return { file, fault, bytes };
    };
    const offsets = await read(INDEX_SUFFIX, OFFSET_ENTRY_BYTES);
    const times = await read(TIME_INDEX_SUFFIX, TIME_ENTRY_BYTES);
    const txns = await read(TXN_INDEX_SUFFIX, ABORTED_TXN_BYTES);
    for (const { file, bytes, fault } of [offsets, times]) {
      // A segment that is being made has its indexes in memory first.
      if (bytes !== undefined || sizeBytes === 0) continue;
      if (isClosed || isWhole) fault(0, 'there is no such file');
      else findings.note(file, undefined, 'it is not written yet');
    }
    return {
      offsets:
        offsets.bytes && new OffsetIndexCheck(offsets.bytes, baseOffset, sizeBytes, offsets.fault),
      times: times.bytes && new TimeIndexCheck(times.bytes, baseOffset, times.fault),
      txns: new TxnIndexCheck(txns.bytes ?? Buffer.alloc(0), baseOffset, txns.fault),
    };
  }
}

/**
 * Opens the folder of a partition's segments: after a clean stop by looking at the last segment's
 * end, after an unclean one by checking everything above the recovery point.
 */

import path from 'node:path';
import type { LogContext } from './log-context.ts';
import { type FolderContents, readLogFolder, SIDE_SUFFIXES } from './log-folder.ts';
import { type LogFolder, Segment } from './segment.ts';
import { LOG_SUFFIX, segmentFileName, TXN_INDEX_SUFFIX } from './segment-names.ts';
import { SegmentRecovery } from './segment-recovery.ts';
import { walkHeaders } from './segment-scan.ts';
import { TxnIndex } from './txn-index.ts';
import type { LogOptions } from './types.ts';

/** Where a log ended when all of it was synced, for a start that need not look for it. */
export interface KnownEnd {
  /** Of the last segment: its base and its size. */
  readonly baseOffset: number;
  readonly sizeBytes: number;
  readonly endOffset: number;
}

export interface OpenRequest {
  /** The last stop was clean: nothing needs to be checked. */
  readonly cleanShutdown: boolean;
  /** The machine was off since, or nobody knows: what was not synced may be lost in any order. */
  readonly powerLost: boolean;
  /** All below this offset was synced. */
  readonly recoveryPoint: number;
  readonly logStartOffset: number;
  /** Where the log ended at the last checkpoint: believed while the last segment has that size. */
  readonly knownEnd?: KnownEnd | undefined;
  /** Called with bytes that were checked. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** What was found; the material of a SegmentLog. */
export interface OpenedSegments {
  readonly segments: Segment[];
  /** Where the log begins when there are none. */
  readonly startOffset: number;
  /** The end is that of the last checkpoint: nothing was written since. */
  readonly isEndKnown: boolean;
  /** Aborted transactions whose markers are from here on must be handed in again. */
  readonly replayFrom: number;
  readonly snapshots: number[];
}

export class SegmentOpener {
  readonly #context: LogContext;
  readonly #folder: LogFolder;
  readonly #options: LogOptions;
  readonly #request: OpenRequest;
  #replayFrom = Number.POSITIVE_INFINITY;

  constructor(context: LogContext, folder: LogFolder, options: LogOptions, request: OpenRequest) {
    this.#context = context;
    this.#folder = folder;
    this.#options = options;
    this.#request = request;
  }

  async run(): Promise<OpenedSegments> {
    const { logStartOffset, cleanShutdown, recoveryPoint } = this.#request;
    const contents = await readLogFolder(this.#context, this.#folder.path);
    const segments = contents === undefined ? [] : await this.#makeSegments(contents);
    const snapshots = contents?.snapshots ?? [];
    const knownEnd = segments.length > 0 ? this.#knownEnd(segments) : undefined;
    let endOffset = logStartOffset;
    if (segments.length > 0) {
      endOffset = knownEnd ?? (await this.#findEnd(segments));
      segments.at(-1)!.nextOffset = endOffset;
      if (!cleanShutdown) this.#replayFrom = Math.min(this.#replayFrom, recoveryPoint);
      // The process may have ended after it made the files and before it synced their names.
      if (endOffset > recoveryPoint) await this.#context.env.disk.syncDir(this.#folder.path);
      await this.#checkTxnIndexes(segments);
    }
    if (segments.length > 0 && endOffset < logStartOffset) {
      const facts = { folder: this.#folder.path, endOffset, logStartOffset };
      this.#context.env.log.warn(facts, 'all segments end below the log start and are removed');
      for (const segment of segments.splice(0)) await this.#removeFiles(segment.baseOffset);
      endOffset = logStartOffset;
    }
    // Of what retention took nothing can be replayed: the snapshots that it left speak of it.
    const firstOffset = segments[0]?.baseOffset ?? endOffset;
    const replayFrom = Math.max(firstOffset, Math.min(this.#replayFrom, endOffset));
    const isEndKnown = knownEnd !== undefined;
    return { segments, startOffset: logStartOffset, isEndKnown, replayFrom, snapshots };
  }

  /** Segments that lie below the log start as a whole were about to be removed: they go now. */
  async #makeSegments({ bases, withTxnIndex }: FolderContents): Promise<Segment[]> {
    const { logStartOffset } = this.#request;
    const segments: Segment[] = [];
    for (const [index, base] of bases.entries()) {
      const next = bases[index + 1];
      if (next !== undefined && next <= logStartOffset) {
        await this.#removeFiles(base);
        continue;
      }
      const file = path.join(this.#folder.path, segmentFileName(base, LOG_SUFFIX));
      const size = (await this.#context.startDisk.stat(file))?.sizeBytes ?? 0;
      const segment = new Segment(this.#context, this.#folder, base, {
        sizeBytes: size,
        nextOffset: next ?? base,
        hasTxnIndex: withTxnIndex.has(base),
        isClosed: next !== undefined,
      });
      segment.setOptions(this.#options);
      segments.push(segment);
    }
    return segments;
  }

  async #removeFiles(base: number): Promise<void> {
    const { disk } = this.#context.env;
    for (const suffix of [LOG_SUFFIX, ...SIDE_SUFFIXES]) {
      await disk.remove(path.join(this.#folder.path, segmentFileName(base, suffix)));
    }
  }

  /** The end as the last checkpoint had it, if nothing was written since. */
  #knownEnd(segments: readonly Segment[]): number | undefined {
    const { knownEnd, cleanShutdown, recoveryPoint } = this.#request;
    const last = segments.at(-1)!;
    const isSame =
      knownEnd !== undefined &&
      knownEnd.baseOffset === last.baseOffset &&
      knownEnd.sizeBytes === last.sizeBytes &&
      (cleanShutdown || recoveryPoint >= knownEnd.endOffset);
    if (!isSame) return undefined;
    last.isEndUnproven = true;
    return knownEnd.endOffset;
  }

  #findEnd(segments: Segment[]): Promise<number> {
    return this.#request.cleanShutdown ? this.#endOf(segments) : this.#recover(segments);
  }

  /** End of a log that was stopped cleanly: from the last index entry on it is looked for. */
  async #endOf(segments: Segment[]): Promise<number> {
    const last = segments.at(-1)!;
    if (last.sizeBytes === 0) return last.baseOffset;
    const indexes = await last.indexes();
    const entry = indexes.offsets.last;
    const stop = await last.use((file) => {
      const start = entry?.position ?? 0;
      const range = { file, baseOffset: last.baseOffset, start, end: last.sizeBytes };
      return walkHeaders(range, this.#context.buffers, () => true);
    });
    if (stop.fault === undefined) return stop.nextOffset ?? last.baseOffset;
    const facts = { segment: last.path, position: stop.position, reason: stop.fault };
    this.#context.env.log.warn(facts, 'the log does not end as it was left: it is recovered');
    this.#replayFrom = Math.min(this.#replayFrom, last.baseOffset);
    return this.#recoverSegment(last, undefined, this.#request.recoveryPoint);
  }

  /** Checks the segments above the recovery point; gives the end of the log. */
  async #recover(segments: readonly Segment[]): Promise<number> {
    const { recoveryPoint } = this.#request;
    let endOffset = 0;
    for (const [index, segment] of segments.entries()) {
      const nextBase = segments[index + 1]?.baseOffset;
      if (nextBase !== undefined && nextBase <= recoveryPoint) continue;
      endOffset = await this.#recoverSegment(segment, nextBase, recoveryPoint);
    }
    return endOffset;
  }

  async #recoverSegment(
    segment: Segment,
    nextBase: number | undefined,
    recoveryPoint: number,
  ): Promise<number> {
    const { powerLost, onProgress } = this.#request;
    const { indexIntervalBytes } = this.#options;
    const request = { recoveryPoint, nextBase, powerLost, indexIntervalBytes, onProgress };
    const recovery = new SegmentRecovery(this.#context, segment, this.#folder.path, request);
    const { nextOffset } = await recovery.run();
    return nextOffset ?? segment.baseOffset;
  }

  /** Drops what the transaction indexes say of markers that will be handed in again. */
  async #checkTxnIndexes(segments: readonly Segment[]): Promise<void> {
    for (const segment of segments) {
      const txns = await segment.txns();
      if (txns.table.count === 0) continue;
      const fault = TxnIndex.fault(txns.table.bytes, segment.baseOffset);
      if (fault !== undefined) {
        const facts = { file: segment.pathOf(TXN_INDEX_SUFFIX), reason: fault };
        this.#context.env.log.warn(facts, 'a transaction index is made anew');
        this.#replayFrom = Math.min(this.#replayFrom, segment.baseOffset);
      }
      if (this.#replayFrom >= segment.nextOffset && fault === undefined) continue;
      const kept = new TxnIndex(fault === undefined ? txns.table.bytes : Buffer.alloc(0));
      kept.truncateFrom(this.#replayFrom);
      segment.setTxns(kept);
      await segment.storeTxns();
    }
  }
}

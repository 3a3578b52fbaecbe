/**
 * The journal as its files have it, read only: files, groups, the batches in them, and what is wrong.
 * After a clean stop all files are void; of a running broker the end may be in the middle of a write.
 */

import path from 'node:path';
import { batchFault, readBatchHeader } from '../../protocol/record-batch.ts';
import type { Disk } from '../env.ts';
import type { BatchesEntry } from '../journal-format.ts';
import {
  isBefore,
  isFileEnd,
  type JournalGap,
  type JournalPart,
  journalKey,
  openJournalParts,
  type PlacedGroup,
  type ScannedJournal,
  scanJournal,
} from '../journal-replay.ts';
import type { Findings } from './findings.ts';
import type { PlacedBatch } from './read-batches.ts';

/** Folder of the journal within the data folder. */
const JOURNAL_DIR = 'journal';
/** Put aside by a start that found damage in them. */
const DAMAGED_SUFFIX = '.damaged';
/** The checksums of one run are checked in memory; a run is what one turn wrote of one log. */
const RUN_MAX_BYTES = 1024 * 1024 * 1024;

export interface JournalFileSummary {
  readonly path: string;
  readonly sizeBytes: number;
  /** Undefined when the file is void: all that it held is in segments. */
  readonly use: JournalUse | undefined;
}

/** The present use of a journal file. */
export interface JournalUse {
  readonly sequence: number;
  readonly generation: string;
  readonly bootId: string;
  readonly groups: number;
  /** Up to the end of its last group. */
  readonly usedBytes: number;
  readonly payloadBytes: number;
  /** Groups before this position are known to have been synced. */
  readonly syncedBytes: number;
  readonly logs: number;
  readonly leases: number;
}

/** Batches or a lease of one log, in one group. */
export interface JournalItem {
  readonly path: string;
  /** Of the batches, or of the lease's group. */
  readonly position: number;
  readonly group: number;
  readonly topicId: string;
  readonly partition: number;
  readonly wasSynced: boolean;
  readonly what:
    | { readonly kind: 'lease'; readonly leaseEnd: number }
    | {
        readonly kind: 'batches';
        readonly previousEnd: number;
        readonly end: number;
        readonly sizeBytes: number;
      };
}

/** What the journal holds of one log. */
export interface JournaledTail {
  readonly topicId: string;
  readonly partition: number;
  /** First offset, and the one after the last; of what segments have, too. Undefined without batches. */
  readonly from: number | undefined;
  readonly end: number | undefined;
  readonly sizeBytes: number;
  /** Offsets below this may have been given out. */
  readonly leaseEnd: number | undefined;
}

/** An open journal; `close` gives the files back. */
export class JournalInspection {
  readonly #parts: readonly JournalPart[];
  readonly #scanned: ScannedJournal;
  /** Names of files that a start has put aside. */
  readonly damagedFiles: readonly string[];

  private constructor(
    parts: readonly JournalPart[],
    scanned: ScannedJournal,
    damagedFiles: readonly string[],
  ) {
    this.#parts = parts;
    this.#scanned = scanned;
    this.damagedFiles = damagedFiles;
  }

  static async open(disk: Disk, dataDir: string): Promise<JournalInspection> {
    const dir = path.join(dataDir, JOURNAL_DIR);
    const names = await disk.list(dir);
    const damaged = names.filter((name) => name.endsWith(DAMAGED_SUFFIX));
    const parts = await openJournalParts(disk, dir, 'read');
    try {
      const files = damaged.map((name) => path.join(dir, name));
      return new JournalInspection(parts, await scanJournal(parts), files);
    } catch (error) {
      await closeAll(parts);
      throw error;
    }
  }

  close(): Promise<void> {
    return closeAll(this.#parts);
  }

  /** Bytes that `verify` reads. */
  get payloadBytes(): number {
    let bytes = 0;
    for (const item of this.items()) if (item.what.kind === 'batches') bytes += item.what.sizeBytes;
    return bytes;
  }

  files(): JournalFileSummary[] {
    return this.#parts.map((part) => ({
      path: part.path,
      sizeBytes: part.sizeBytes,
      use: part.header === undefined ? undefined : this.#use(part),
    }));
  }

  #use(part: JournalPart): JournalUse {
    const groups = this.#groups().filter((placed) => placed.part === part);
    const { sequence, generation, bootId } = part.header!;
    const { synced } = this.#scanned;
    const logs = new Set<string>();
    let payloadBytes = 0;
    let leases = 0;
    for (const { group } of groups) {
      for (const entry of group.entries) {
        logs.add(`${entry.topicId.toString('hex')}${entry.partition}`);
        if (entry.kind === 'lease') leases++;
        else payloadBytes += entry.payloadBytes;
      }
    }
    const last = groups.at(-1);
    const usedBytes = last === undefined ? 0 : last.position + last.group.groupBytes;
    const syncedHere = sequence === synced.sequence ? synced.position : 0;
    return {
      sequence,
      generation: generation.toString('hex'),
      bootId,
      groups: groups.length,
      usedBytes,
      payloadBytes,
      syncedBytes: sequence < synced.sequence ? usedBytes : Math.min(usedBytes, syncedHere),
      logs: logs.size,
      leases,
    };
  }

  #groups(): PlacedGroup[] {
    return this.#scanned.found.filter((item): item is PlacedGroup => 'group' in item);
  }

  /** All that the groups hold, in the order in which it was written. */
  *items(): Generator<JournalItem> {
    let index = 0;
    for (const placed of this.#groups()) {
      const { part, group } = placed;
      let position = group.payloadPosition;
      for (const entry of group.entries) {
        const common = {
          path: part.path,
          group: index,
          topicId: entry.topicId.toString('base64url'),
          partition: entry.partition,
          wasSynced: isBefore(part, placed.position, this.#scanned.synced),
        };
        if (entry.kind === 'lease') {
          const what = { kind: 'lease', leaseEnd: entry.leaseEnd } as const;
          yield { ...common, position: placed.position, what };
          continue;
        }
        yield { ...common, position, what: runOf(entry) };
        position += entry.payloadBytes;
      }
      index++;
    }
  }

  /** What there is of each log, by `journalKey`. */
  tails(): Map<string, JournaledTail> {
    const tails = new Map<string, JournaledTail>();
    for (const { topicId, partition, what } of this.items()) {
      const key = journalKey(topicId, partition);
      const before = tails.get(key);
      const isLease = what.kind === 'lease';
      tails.set(key, {
        topicId,
        partition,
        from: before?.from ?? (isLease ? undefined : what.previousEnd),
        end: isLease ? before?.end : what.end,
        sizeBytes: (before?.sizeBytes ?? 0) + (isLease ? 0 : what.sizeBytes),
        leaseEnd: isLease ? what.leaseEnd : before?.leaseEnd,
      });
    }
    return tails;
  }

  /** The sound batches of one log, in order; those that segments have may be among them. */
  async *batchesOf(topicId: string, partition: number): AsyncGenerator<PlacedBatch> {
    for (const item of this.items()) {
      if (item.topicId !== topicId || item.partition !== partition) continue;
      yield* batchesIn(item, await this.read(item));
    }
  }

  /** The bytes of the batches of an item. */
  async read({ path: name, position, what }: JournalItem): Promise<Buffer> {
    const part = this.#parts.find((candidate) => candidate.path === name)!;
    const most = Math.min(RUN_MAX_BYTES, part.sizeBytes - position);
    const bytes = what.kind === 'batches' ? Math.max(0, Math.min(what.sizeBytes, most)) : 0;
    const payload = Buffer.allocUnsafeSlow(bytes);
    const count = await part.file.read(payload, 0, bytes, position);
    return payload.subarray(0, count);
  }

  /** Checks the groups, and of every batch in them the checksum and the offsets. */
  async verify(findings: Findings, onProgress: (bytes: number) => void): Promise<void> {
    for (const file of this.damagedFiles) {
      findings.note(file, undefined, 'a start found damage in it and put it aside');
    }
    for (const item of this.#scanned.found) {
      if (!('group' in item)) this.#gap(item, findings);
    }
    for (const item of this.items()) {
      if (findings.isFull) return;
      if (item.what.kind !== 'batches') continue;
      runFault(item, item.what, await this.read(item), findings);
      onProgress(item.what.sizeBytes);
    }
  }

  #gap(gap: JournalGap, findings: Findings): void {
    const { found, synced } = this.#scanned;
    if (isBefore(gap.part, gap.position, synced)) {
      const reason = 'no sound group stands where the journal was synced';
      findings.damage(gap.part.path, gap.position, reason);
    } else if (!isFileEnd(found, gap)) {
      const reason = 'a torn group; a start leaves out all behind it';
      findings.note(gap.part.path, gap.position, reason);
    }
  }
}

/** The sound batches at the front of what an item holds. */
export function* batchesIn(item: JournalItem, payload: Buffer): Generator<PlacedBatch> {
  for (let at = 0; at < payload.length && batchFault(payload, at) === undefined; ) {
    const header = readBatchHeader(payload, at);
    const bytes = payload.subarray(at, at + header.sizeBytes);
    yield { kind: 'batch', file: item.path, position: item.position + at, header, bytes };
    at += header.sizeBytes;
  }
}

async function closeAll(parts: readonly JournalPart[]): Promise<void> {
  for (const { file } of parts) await file.close();
}

function runOf({ previousEnd, end, payloadBytes: sizeBytes }: BatchesEntry) {
  return { kind: 'batches', previousEnd, end, sizeBytes } as const;
}

function runFault(
  { path: file, position, wasSynced }: JournalItem,
  run: { readonly previousEnd: number; readonly end: number; readonly sizeBytes: number },
  payload: Buffer,
  findings: Findings,
): void {
  let expected = run.previousEnd;
  let at = 0;
  let fault: string | undefined;
  while (at < payload.length && fault === undefined) {
    fault = batchFault(payload, at);
    if (fault !== undefined) break;
    const { baseOffset, lastOffset, sizeBytes } = readBatchHeader(payload, at);
    if (baseOffset !== expected) fault = `offset ${baseOffset} where ${expected} was due`;
    expected = lastOffset + 1;
    if (fault === undefined) at += sizeBytes;
  }
  if (fault === undefined && expected !== run.end) fault = `it ends at ${expected}, not ${run.end}`;
  if (fault === undefined) return;
  // What was not synced may be torn: it was promised to nobody who asked for durability.
  if (wasSynced) findings.damage(file, position + at, fault);
  else findings.note(file, position + at, `${fault}; it was not synced`);
}

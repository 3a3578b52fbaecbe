/**
 * Reads what an unclean stop left in the journal: for each log where its batches stand, and the
 * lease under which its offsets may have been given out. Only headers are read here; the batches
 * are read, and their checksums compared, when they are written to the segments.
 *
 * A place where no group stands ends the journal when all behind it may never have been synced: a
 * torn tail, which is cut. Where a later group says that the place was synced it is damage, which is
 * reported; what lies behind is still read.
 */

import type { Disk, DiskFile, Env, OpenMode } from './env.ts';
import {
  decodeFileHeader,
  decodeGroup,
  findGroup,
  JOURNAL_HEADER_BYTES,
  type JournalFileHeader,
  type JournalGroup,
  type SyncedMark,
} from './journal-format.ts';

const PIECE_BYTES = 4 * 1024 * 1024;
/** A group's header with its entries lies within so many bytes: some 50 000 logs in one group. */
const HEADER_MAX_BYTES = 2 * 1024 * 1024;

/** Batches of one log in the journal. */
export interface JournaledRun {
  readonly file: JournalPart;
  readonly position: number;
  readonly sizeBytes: number;
  readonly previousEnd: number;
  readonly end: number;
  /** A later group says that it was synced: what is wrong with it is damage, not a torn tail. */
  readonly wasSynced: boolean;
}

/** What the journal holds of one log. */
export interface JournaledLog {
  readonly topicId: string;
  readonly partition: number;
  /** In the order in which they were written. */
  readonly runs: JournaledRun[];
  leaseEnd: number;
}

/** One file of the journal, open for reading. */
export interface JournalPart {
  readonly path: string;
  readonly file: DiskFile;
  readonly sizeBytes: number;
  readonly header: JournalFileHeader | undefined;
  isDamaged: boolean;
}

export interface JournalContents {
  readonly parts: readonly JournalPart[];
  /** By topic id and partition, see `journalKey`. */
  readonly logs: ReadonlyMap<string, JournaledLog>;
  readonly lastSequence: number;
  /**
   * Whether the machine has started anew, or the disk is another one, since the journal was written;
   * also where that is not known.
   */
  readonly isForeign: boolean;
}

export function journalKey(topicId: string, partition: number): string {
  return `${topicId}/${partition}`;
}

export interface PlacedGroup {
  readonly part: JournalPart;
  readonly position: number;
  readonly group: JournalGroup;
}

/** A place where no group stands, up to the next that does. */
export interface JournalGap {
  readonly part: JournalPart;
  readonly position: number;
}

/** Reads the journal in a folder. `device`: what lies under the data folder now. */
export async function readJournal(env: Env, dir: string, device: number): Promise<JournalContents> {
  const parts = await openJournalParts(env.disk, dir, 'write');
  const { used, found, synced } = await scanJournal(parts);
  const groups = dropTornTail(env, found, synced);
  const headers = used.map(({ header }) => header!);
  // Without any file in use nobody knows what happened since: segments may have been written.
  const isForeign =
    headers.length === 0 ||
    headers.some((header) => header.bootId !== env.host.bootId || header.device !== device);
  return {
    parts,
    logs: collect(groups, synced),
    lastSequence: headers.at(-1)?.sequence ?? 0,
    isForeign,
  };
}

/** What stands in the files of a journal, in the order in which it was written. */
export interface ScannedJournal {
  /** Files that have a header, in order. */
  readonly used: readonly JournalPart[];
  readonly found: readonly (PlacedGroup | JournalGap)[];
  /** Up to where it is known to have been synced. */
  readonly synced: SyncedMark;
}

/** Goes through all groups; of the batches in them nothing is read. */
export async function scanJournal(parts: readonly JournalPart[]): Promise<ScannedJournal> {
  const used = parts.filter((part) => part.header !== undefined);
  used.sort((a, b) => a.header!.sequence - b.header!.sequence);
  const found: (PlacedGroup | JournalGap)[] = [];
  for (const part of used) {
    const usedBytes = usedBytesOf(part, used);
    await scanPart(part, usedBytes ?? part.sizeBytes, found);
    const last = found.at(-1);
    const endsInGap = last !== undefined && last.part === part && !('group' in last);
    if (usedBytes === undefined && endsInGap && part !== used.at(-1)) found.pop();
  }
  return { used, found, synced: syncedMark(found) };
}

/** Opens the files of the journal in a folder; none where there is no folder. */
export async function openJournalParts(
  disk: Disk,
  dir: string,
  mode: OpenMode,
): Promise<JournalPart[]> {
  const parts: JournalPart[] = [];
  for (const name of await disk.list(dir)) {
    if (!name.endsWith('.journal')) continue;
    const path = `${dir}/${name}`;
    const file = await disk.open(path, mode);
    const { sizeBytes } = await file.stat();
    const head = Buffer.alloc(JOURNAL_HEADER_BYTES);
    await file.read(head, 0, head.length, 0);
    parts.push({ path, file, sizeBytes, header: decodeFileHeader(head), isDamaged: false });
  }
  return parts;
}

/** A window over a file that moves forward. */
class Pieces {
  readonly #part: JournalPart;
  readonly #buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #start = 0;
  #length = 0;

  constructor(part: JournalPart) {
    this.#part = part;
  }

  /** The bytes from a position on, at least `bytes` of them unless the file ends before. */
  async at(position: number, bytes: number): Promise<Buffer> {
    const end = Math.min(position + bytes, this.#part.sizeBytes);
    if (position < this.#start || end > this.#start + this.#length) {
      this.#start = position;
      this.#length = await this.#part.file.read(this.#buffer, 0, PIECE_BYTES, position);
    }
    return this.#buffer.subarray(position - this.#start, this.#length);
  }
}

/**
 * Where a file's groups end; behind that is what it had left when the journal went on to the next.
 * Undefined for the last file, and for one that was out of use already: the next one is in use again
 * for something else, and nothing here is needed.
 */
function usedBytesOf(part: JournalPart, used: readonly JournalPart[]): number | undefined {
  const sequence = part.header!.sequence + 1;
  const next = used.find(({ header }) => header!.sequence === sequence);
  const usedBytes = next?.header?.previousBytes || part.sizeBytes;
  return next && Math.min(part.sizeBytes, usedBytes);
}

async function scanPart(
  part: JournalPart,
  endsAt: number,
  found: (PlacedGroup | JournalGap)[],
): Promise<void> {
  const pieces = new Pieces(part);
  const generation = part.header!.generation;
  let position = JOURNAL_HEADER_BYTES;
  while (position < endsAt) {
    const piece = await pieces.at(position, HEADER_MAX_BYTES);
    const group = decodeGroup(piece, 0, position, part.sizeBytes, generation);
    if (group !== undefined) {
      found.push({ part, position, group });
      position += group.groupBytes;
      continue;
    }
    const last = found.at(-1);
    const isSameGap = last !== undefined && last.part === part && !('group' in last);
    if (!isSameGap) found.push({ part, position });
    position = await nextCandidate(pieces, part, position + 8);
  }
}

/** The next place in the file where a group may begin, or its end. */
async function nextCandidate(pieces: Pieces, part: JournalPart, from: number): Promise<number> {
  let position = from;
  while (position < part.sizeBytes) {
    const piece = await pieces.at(position, HEADER_MAX_BYTES);
    const at = findGroup(piece, 0);
    if (at >= 0) return position + at;
    position += Math.max(piece.length - (piece.length % 8), 8);
  }
  return part.sizeBytes;
}

/** Whether a place in a file lies before what is known to have been synced. */
export function isBefore(part: JournalPart, position: number, mark: SyncedMark): boolean {
  const { sequence } = part.header!;
  return sequence < mark.sequence || (sequence === mark.sequence && position < mark.position);
}

/** Up to where the journal is known to have been synced. */
function syncedMark(found: readonly (PlacedGroup | JournalGap)[]): SyncedMark {
  let synced: SyncedMark = { sequence: 0, position: 0 };
  for (const item of found) {
    if (!('group' in item)) continue;
    const mark = item.group.synced;
    const isLater =
      mark.sequence > synced.sequence ||
      (mark.sequence === synced.sequence && mark.position > synced.position);
    if (isLater) synced = mark;
  }
  return synced;
}

/** Cuts at the first gap that may be a torn tail; gaps below what was synced are reported. */
function dropTornTail(
  env: Env,
  found: readonly (PlacedGroup | JournalGap)[],
  synced: SyncedMark,
): PlacedGroup[] {
  const groups: PlacedGroup[] = [];
  for (const item of found) {
    if ('group' in item) {
      groups.push(item);
      continue;
    }
    if (isBefore(item.part, item.position, synced)) {
      item.part.isDamaged = true;
      env.log.error(
        { path: item.part.path, position: item.position },
        'the journal is damaged where it was synced; what followed is read on',
      );
    } else {
      break;
    }
  }
  return groups;
}

/** Whether the gap is only the unused rest of the last file. */
export function isFileEnd(found: readonly (PlacedGroup | JournalGap)[], gap: JournalGap): boolean {
  return found.at(-1) === gap;
}

function collect(groups: readonly PlacedGroup[], synced: SyncedMark): Map<string, JournaledLog> {
  const logs = new Map<string, JournaledLog>();
  for (const { part, group } of groups) {
    let position = group.payloadPosition;
    for (const entry of group.entries) {
      const topicId = entry.topicId.toString('base64url');
      const key = journalKey(topicId, entry.partition);
      let log = logs.get(key);
      if (log === undefined) {
        log = { topicId, partition: entry.partition, runs: [], leaseEnd: 0 };
        logs.set(key, log);
      }
      if (entry.kind === 'lease') {
        log.leaseEnd = Math.max(log.leaseEnd, entry.leaseEnd);
        continue;
      }
      const { previousEnd, end, payloadBytes: sizeBytes } = entry;
      const wasSynced = isBefore(part, position, synced);
      log.runs.push({ file: part, position, sizeBytes, previousEnd, end, wasSynced });
      position += sizeBytes;
    }
  }
  return logs;
}

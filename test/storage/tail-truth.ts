/**
 * What was appended to a log and what may be seen of it: every record by its offset, each producer's
 * batches, and the checks of what readers get. On-the-fly compaction may take records away; the
 * truth knows which ones it must not.
 */

import { gunzipSync } from 'node:zlib';
import { isCrcRight, readBatchHeader } from '../../protocol/record-batch.ts';
import { payloadOf, readRecords } from '../../protocol/records.ts';

export interface TrueRecord {
  readonly key: string;
  /** Null for a delete. */
  readonly value: string | null;
  readonly timestamp: number;
}

/** A batch of a producer as it was sent, so that it can be sent again. */
export interface SentBatch {
  readonly baseOffset: number;
  readonly lastOffset: number;
  readonly bytes: Buffer;
}

export type State = Map<string, string>;

/** A reader with what it knows. */
export interface Reader {
  position: number;
  readonly state: State;
}

export function apply(state: State, { key, value }: TrueRecord): void {
  if (value === null) state.delete(key);
  else state.set(key, value);
}

export class Truth {
  /** By offset; undefined where there is no record. */
  readonly records: (TrueRecord | undefined)[] = [];
  /** By producer id, oldest first. */
  readonly sent = new Map<number, SentBatch[]>();
  readonly violations: string[] = [];
  minLagMs = 0;

  get end(): number {
    return this.records.length;
  }

  violation(text: string): void {
    this.violations.push(text);
  }

  appended(baseOffset: number, records: readonly TrueRecord[]): void {
    if (baseOffset !== this.end) this.violation(`appended at ${baseOffset}, not ${this.end}`);
    this.records.push(...records);
  }

  /** What lies at and above an offset was lost; what nobody was promised. */
  lose(end: number): void {
    this.records.length = end;
    for (const [producer, batches] of this.sent) {
      const kept = batches.filter(({ lastOffset }) => lastOffset < end);
      this.sent.set(producer, kept);
    }
  }

  /** Offsets that will name no record. */
  skip(to: number): void {
    while (this.end < to) this.records.push(undefined);
  }

  stateAt(end: number): State {
    const state: State = new Map();
    for (const record of this.records.slice(0, end)) if (record) apply(state, record);
    return state;
  }

  /** Whether a record that is not there any more may be missing. */
  #mayMiss(offset: number, end: number, nowMs: number): boolean {
    const record = this.records[offset];
    if (record === undefined) return true;
    if (this.minLagMs > 0 && record.timestamp > nowMs - this.minLagMs) return false;
    if (record.value === null) return true;
    const later = this.records.slice(offset + 1, end);
    return later.some((newer) => newer?.key === record.key);
  }

  /**
   * Takes what a reader got of [position, next): the records it had not seen, at most `most` of
   * them, after which it may stop.
   */
  take(reader: Reader, bytes: Buffer, next: number, nowMs: number, most: number): void {
    let due = -1;
    let at = 0;
    let taken = 0;
    let seen = reader.position;
    while (at < bytes.length) {
      const header = readBatchHeader(bytes, at);
      if (!isCrcRight(bytes, at)) this.violation(`wrong checksum at ${header.baseOffset}`);
      if (header.baseOffset < due) this.violation(`offset ${header.baseOffset} after ${due}`);
      due = header.lastOffset + 1;
      const payload = payloadOf(bytes, at);
      const plain = header.codec === 0 ? payload : gunzipSync(payload);
      for (const record of header.control ? [] : readRecords(bytes, at, plain)) {
        if (record.offset < seen) continue;
        if (taken++ === most) return;
        for (; seen < record.offset; seen++) this.#missed(seen, nowMs);
        this.#saw(reader, record.offset, {
          key: String(record.key),
          value: record.value === null ? null : String(record.value),
          timestamp: record.timestamp,
        });
        seen = record.offset + 1;
        reader.position = seen;
      }
      at += header.sizeBytes;
    }
    for (; seen < next; seen++) this.#missed(seen, nowMs);
    reader.position = Math.max(next, reader.position);
  }

  #missed(offset: number, nowMs: number): void {
    if (!this.#mayMiss(offset, this.end, nowMs)) {
      this.violation(`the record at ${offset} is missing: ${JSON.stringify(this.records[offset])}`);
    }
  }

  #saw(reader: Reader, offset: number, record: TrueRecord): void {
    const truth = this.records[offset];
    if (JSON.stringify(truth) !== JSON.stringify(record)) {
      const found = JSON.stringify({ truth, record });
      this.violation(`another record at ${offset}: ${found}`);
    }
    apply(reader.state, record);
  }

  /** A reader that has come to an end knows just what is true there. */
  checkState(reader: Reader, who: string): void {
    const sorted = (state: State) => JSON.stringify([...state].sort());
    const expected = sorted(this.stateAt(reader.position));
    const found = sorted(reader.state);
    if (found === expected) return;
    this.violation(`${who} at ${reader.position} knows ${found}, not ${expected}`);
  }
}

/**
 * What clients sent, were answered and saw, and the laws that it must obey: what was acknowledged is
 * there, once and in order; an offset names one record for ever; what a reader was given stays,
 * within the promises of acks and visibility; commits never go back.
 */

import { loadCodec } from '../../protocol/compression.ts';
import { batchFault, Codec, readBatchHeader } from '../../protocol/record-batch.ts';
import { payloadOf, readRecords } from '../../protocol/records.ts';

/** A partition as the clients know it. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly visibility: 'written' | 'durable';
}

export function nameOf({ topic, partition }: Place): string {
  return `${topic}-${partition}`;
}

/** A record that somebody sent; its value is unlike any other's. */
export interface Sent {
  readonly place: Place;
  readonly producer: string;
  /** Position among the producer's records, which is their order in the log. */
  readonly order: number;
  readonly value: Buffer;
  readonly acks: 1 | -1;
  /** Offset in the acknowledgement. */
  offset?: number;
  /** Power cuts that there had been when it was acknowledged. */
  powerCuts?: number;
}

/** A record as a reader was given it. */
export interface Seen {
  readonly offset: number;
  readonly value: Buffer;
}

interface Sighting extends Seen {
  readonly place: Place;
  readonly powerCuts: number;
}

const MAX_DECOMPRESSED_BYTES = 2 ** 24;

export class History {
  /** Everything that happened, line by line: the same for the same seed. */
  readonly lines: string[] = [];
  readonly violations: string[] = [];
  /** By the value as text. */
  readonly #sent = new Map<string, Sent>();
  /** What was seen at each offset of each partition. */
  readonly #names = new Map<string, Sighting>();

  note(line: string): void {
    this.lines.push(line);
  }

  violate(what: string): void {
    this.lines.push(`VIOLATION ${what}`);
    this.violations.push(what);
  }

  sent(record: Sent): void {
    this.#sent.set(keyOf(record.value), record);
  }

  /** A reader was given a record. */
  seen(reader: string, place: Place, record: Seen, powerCuts: number): void {
    const where = `${nameOf(place)}@${record.offset}`;
    const what = keyOf(record.value);
    const known = this.#sent.get(what);
    if (known === undefined) this.violate(`${reader} read at ${where} what nobody sent`);
    else if (nameOf(known.place) !== nameOf(place)) {
      this.violate(`${reader} read at ${where} what was sent to ${nameOf(known.place)}`);
    }
    const before = this.#names.get(where);
    if (before !== undefined && keyOf(before.value) !== what) {
      this.violate(`${where} was ${short(before.value)}, ${reader} read ${short(record.value)}`);
    }
    this.#names.set(where, { ...record, place, powerCuts: before?.powerCuts ?? powerCuts });
  }

  /**
   * Holds the whole of a partition from its start on, read at the end, against everything that was
   * said and seen.
   */
  checkLog(place: Place, log: readonly Seen[], powerCuts: number, logStart = 0): void {
    const name = nameOf(place);
    const offsets = new Map<string, number>();
    const orders = new Map<string, number>();
    for (const { offset, value } of log) {
      const key = keyOf(value);
      const earlier = offsets.get(key);
      if (earlier !== undefined) {
        this.violate(`${name}: ${short(value)} is at ${earlier} and at ${offset}`);
      }
      offsets.set(key, offset);
      const record = this.#sent.get(key);
      if (record === undefined) continue;
      const order = orders.get(record.producer) ?? -1;
      if (record.order < order) this.violate(`${name}: ${short(value)} is behind ${order}`);
      orders.set(record.producer, record.order);
    }
    for (const [key, record] of this.#sent) {
      if (nameOf(record.place) !== name || record.offset === undefined) continue;
      if (record.offset < logStart) continue;
      const offset = offsets.get(key);
      const mayBeLost = record.acks === 1 && record.powerCuts !== powerCuts;
      if (offset === record.offset || (offset === undefined && mayBeLost)) continue;
      const where = offset === undefined ? 'is gone' : `is at ${offset}`;
      this.violate(
        `${name}: ${short(record.value)}, acknowledged (acks=${record.acks}) at ${record.offset}, ${where}`,
      );
    }
    this.#checkSightings(place, offsets, powerCuts, logStart);
  }

  #checkSightings(
    place: Place,
    offsets: ReadonlyMap<string, number>,
    powerCuts: number,
    logStart: number,
  ): void {
    for (const [where, sighting] of this.#names) {
      if (nameOf(sighting.place) !== nameOf(place) || sighting.offset < logStart) continue;
      const mayBeLost = place.visibility === 'written' && sighting.powerCuts !== powerCuts;
      if (offsets.get(keyOf(sighting.value)) === sighting.offset || mayBeLost) continue;
      this.violate(`${short(sighting.value)} was read at ${where} and is not there any more`);
    }
  }
}

function keyOf(value: Buffer): string {
  return value.toString('latin1');
}

/** Values begin with a short name. */
function short(value: Buffer): string {
  return value.toString('latin1', 0, value.indexOf(' '));
}

/** What a fetch gave, as records and the offset to go on from. */
export interface Taken {
  readonly records: readonly Seen[];
  readonly nextOffset: number;
  /** What is wrong with the bytes; undefined for whole sound batches one behind the other. */
  readonly fault: string | undefined;
}

/** Reads the batches of a fetch from an offset, as a client does that trusts nothing. */
export async function takeBatches(bytes: Buffer, from: number): Promise<Taken> {
  const records: Seen[] = [];
  let nextOffset = from;
  let end: number | undefined;
  for (let at = 0; at < bytes.length; ) {
    const broken = batchFault(bytes, at);
    if (broken !== undefined) return { records, nextOffset, fault: broken };
    const header = readBatchHeader(bytes, at);
    const { baseOffset, lastOffset } = header;
    if (lastOffset < from) return { records, nextOffset, fault: `batch ends at ${lastOffset}` };
    if (end === undefined ? baseOffset > from : baseOffset !== end) {
      return { records, nextOffset, fault: `batch at ${baseOffset}, expected ${end ?? from}` };
    }
    end = lastOffset + 1;
    if (!header.control) {
      const codec = await loadCodec(header.codec);
      const packed = payloadOf(bytes, at);
      const payload =
        header.codec === Codec.none ? packed : codec.decompress(packed, MAX_DECOMPRESSED_BYTES);
      for (const { offset, value } of readRecords(bytes, at, payload)) {
        if (offset >= from && value !== null) records.push({ offset, value });
      }
    }
    nextOffset = end;
    at += header.sizeBytes;
  }
  return { records, nextOffset, fault: undefined };
}

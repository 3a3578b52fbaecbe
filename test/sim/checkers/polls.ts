/**
 * The checker of single polls: batches lie behind one another, the first one has the offset that was
 * asked for, and on a topic that is not compacted no offset is without a record, but for the gap
 * that a power cut leaves.
 */

import { loadCodec } from '../../../protocol/compression.ts';
import { batchFault, Codec, readBatchHeader } from '../../../protocol/record-batch.ts';
import { payloadOf, readRecords } from '../../../protocol/records.ts';
import type { Seen } from '../history.ts';

/** What a fetch gave, as records and the offset to go on from. */
export interface Taken {
  readonly records: readonly Seen[];
  readonly nextOffset: number;
  /** What is wrong with the bytes; undefined for what is right. */
  readonly fault: string | undefined;
}

/** What may be missing between records. */
export interface Lawful {
  /** Cleaning takes records and whole batches away. */
  readonly gaps: boolean;
  /** Batches without data: the gap after a power cut, or the end of a transaction. */
  readonly control: boolean;
}

const MAX_DECOMPRESSED_BYTES = 2 ** 24;

/** Reads the batches of a fetch from an offset, as a client does that trusts nothing. */
export async function takeBatches(bytes: Buffer, from: number, lawful: Lawful): Promise<Taken> {
  const records: Seen[] = [];
  let nextOffset = from;
  const faulty = (fault: string): Taken => ({ records, nextOffset, fault });
  for (let at = 0; at < bytes.length; ) {
    const broken = batchFault(bytes, at);
    if (broken !== undefined) return faulty(broken);
    const header = readBatchHeader(bytes, at);
    const { baseOffset, lastOffset } = header;
    if (lastOffset < nextOffset) return faulty(`a batch ends at ${lastOffset}`);
    const isFirst = at === 0;
    const isBehind = isFirst ? baseOffset > from : baseOffset !== nextOffset;
    if (isBehind && !(lawful.gaps && baseOffset >= nextOffset)) {
      return faulty(`a batch begins at ${baseOffset}, expected ${nextOffset}`);
    }
    if (header.control) {
      if (!lawful.control) return faulty(`no records from ${baseOffset} to ${lastOffset}`);
    } else {
      const count = records.length;
      records.push(...(await recordsOf(bytes, at, header.codec)));
      const all = lastOffset - baseOffset + 1;
      if (!lawful.gaps && records.length - count !== all) {
        return faulty(`${records.length - count} of ${all} records from ${baseOffset} on`);
      }
    }
    nextOffset = lastOffset + 1;
    at += header.sizeBytes;
  }
  const wanted = records.filter(({ offset }) => offset >= from);
  return { records: wanted, nextOffset, fault: disorder(wanted) };
}

async function recordsOf(bytes: Buffer, at: number, codec: number): Promise<Seen[]> {
  const packed = payloadOf(bytes, at);
  const { decompress } = await loadCodec(codec);
  const payload = codec === Codec.none ? packed : decompress(packed, MAX_DECOMPRESSED_BYTES);
  return [...readRecords(bytes, at, payload)].map(({ offset, key, value }) => ({
    offset,
    key,
    value,
  }));
}

function disorder(records: readonly Seen[]): string | undefined {
  const at = records.findIndex(({ offset }, index) => offset <= (records[index - 1]?.offset ?? -1));
  return at < 0 ? undefined : `${records[at]!.offset} comes behind ${records[at - 1]!.offset}`;
}

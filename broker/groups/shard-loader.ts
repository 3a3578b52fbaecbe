/**
 * Reads one partition of __consumer_offsets from its beginning, at the start of the broker, and
 * makes of it the groups and offsets that its records tell of. Batches of transactions count when
 * their marker says so. What cannot be read is reported with its place, and left out.
 */

import type { BatchCodec } from '../../protocol/compression.ts';
import { CorruptCompression, DecompressionLimit, loadCodec } from '../../protocol/compression.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import {
  baseOffset,
  Codec,
  codec as codecOf,
  isControl,
  isTransactional,
  producerId,
} from '../../protocol/record-batch.ts';
import {
  InvalidRecords,
  MarkerType,
  payloadOf,
  RecordCursor,
  readEndTxnMarker,
} from '../../protocol/records.ts';
import { shown } from '../limited-log.ts';
import { Group } from './group.ts';
import type { OffsetsPartition } from './log-writer.ts';
import { type GroupRecord, type GroupValue, readGroupRecord } from './offset-records.ts';
import { GroupOffsets, offsetOf } from './offsets.ts';
import type { Shard } from './shard.ts';

/** What the records of one compressed batch may come to; the coordinator's own are not compressed. */
const MAX_PAYLOAD_BYTES = 64 * 1024 * 1024;

export async function loadShard(shard: Shard, partition: OffsetsPartition): Promise<void> {
  const load = new ShardLoad(shard);
  const codecs = new Map<number, BatchCodec>();
  let from = partition.log.logStartOffset;
  for (;;) {
    // Loading a codec must wait, visiting must not: the scan goes on from where one was wanted.
    let missing: { readonly codec: number; readonly at: number } | undefined;
    await partition.scan(from, (buffer, at) => {
      if (missing !== undefined) return;
      const codec = codecOf(buffer, at);
      if (codec === Codec.none || codecs.has(codec)) load.batch(buffer, at, codecs.get(codec));
      else missing = { codec, at: baseOffset(buffer, at) };
    });
    // What the callback set is not seen by the compiler.
    const wanted = missing as { readonly codec: number; readonly at: number } | undefined;
    if (wanted === undefined) break;
    codecs.set(wanted.codec, await loadCodec(wanted.codec));
    from = wanted.at;
  }
  load.finish();
}

/** A record that is the latest of its key so far. */
interface Latest {
  value: Buffer;
  recordOffset: number;
}

/** Records by their keys' bytes, one character each: most keys are written again and again. */
type ByKey = Map<string, Latest>;

class ShardLoad {
  readonly #shard: Shard;
  readonly #latest: ByKey = new Map();
  /** Records of transactions that have not ended, by producer id. */
  readonly #open = new Map<number, ByKey>();

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  batch(buffer: Buffer, at: number, codec: BatchCodec | undefined): void {
    try {
      const payload = payloadOf(buffer, at);
      if (isControl(buffer, at)) {
        this.#marker(producerId(buffer, at), payload);
        return;
      }
      const records = codec === undefined ? payload : codec.decompress(payload, MAX_PAYLOAD_BYTES);
      const producer = isTransactional(buffer, at) ? producerId(buffer, at) : undefined;
      this.#records(records, baseOffset(buffer, at), producer);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#report(baseOffset(buffer, at), error.message);
    }
  }

  /** All records have been read: what is left of them comes to life, sessions begin now. */
  finish(): void {
    const shard = this.#shard;
    const values = new Map<string, GroupValue>();
    const offsetsOf = new Map<string, GroupOffsets>();
    const others = new Map<number, number>();
    const offsets = (group: string): GroupOffsets => {
      const known = offsetsOf.get(group) ?? new GroupOffsets(shard.services.budget);
      offsetsOf.set(group, known);
      return known;
    };
    for (const { record, recordOffset } of this.#decoded(this.#latest)) {
      if (record.kind === 'group') values.set(record.group, record.value!);
      else if (record.kind === 'other') others.set(record.type, (others.get(record.type) ?? 0) + 1);
      else {
        const { group, topic, partition, value } = record;
        offsets(group).put(topic, partition, offsetOf(value!, recordOffset));
      }
    }
    for (const [producer, latest] of this.#open) {
      const groups = new Set<string>();
      for (const { record, recordOffset } of this.#decoded(latest)) {
        if (record.kind !== 'offset') continue;
        const { group, topic, partition, value } = record;
        offsets(group).putOpen(producer, topic, partition, offsetOf(value!, recordOffset));
        groups.add(group);
      }
      shard.openTransactions.set(producer, groups);
    }
    this.#adopt(values, offsetsOf);
    for (const [type, count] of others) {
      shard.services.env.log.warn(
        { partition: shard.partition, type, count },
        'records of a coordinator that this broker does not have were left alone',
      );
    }
  }

  #adopt(values: Map<string, GroupValue>, offsetsOf: Map<string, GroupOffsets>): void {
    const shard = this.#shard;
    for (const [id, value] of values) {
      const { group } = shard.adopt(Group.restore(id, value, shard.host), offsetsOf.get(id));
      offsetsOf.delete(id);
      shard.services.env.log.debug(
        {
          group: shown(id),
          state: group.state,
          generation: group.generationId,
          members: group.members.size,
        },
        'a group was loaded',
      );
    }
    for (const [id, offsets] of offsetsOf) shard.adopt(new Group(id, shard.host), offsets);
  }

  #records(payload: Buffer, base: number, producer: number | undefined): void {
    const cursor = new RecordCursor(payload);
    while (cursor.next()) {
      const recordOffset = base + cursor.offsetDelta;
      if (cursor.keyBytes < 0) {
        this.#report(recordOffset, 'a record without a key');
        continue;
      }
      const key = payload.toString('latin1', cursor.keyAt, cursor.keyAt + cursor.keyBytes);
      const value = cursor.value();
      if (value === null) {
        this.#latest.delete(key);
        for (const latest of this.#open.values()) latest.delete(key);
        continue;
      }
      // The batch's memory goes back when it has been visited: what is kept must be a copy.
      keep(
        producer === undefined ? this.#latest : this.#openOf(producer),
        key,
        value,
        recordOffset,
      );
    }
  }

  #openOf(producer: number): ByKey {
    const known = this.#open.get(producer) ?? new Map();
    this.#open.set(producer, known);
    return known;
  }

  /** A transaction ended. What was recorded after its record, outside of it, stays. */
  #marker(producer: number, payload: Buffer): void {
    const open = this.#open.get(producer);
    const marker = readEndTxnMarker(payload);
    if (open === undefined || marker === undefined) return;
    this.#open.delete(producer);
    if (marker.type !== MarkerType.commit) return;
    for (const [key, latest] of open) {
      const current = this.#latest.get(key);
      if (current === undefined || latest.recordOffset > current.recordOffset) {
        this.#latest.set(key, latest);
      }
    }
  }

  *#decoded(latest: ByKey): Generator<{ record: GroupRecord; recordOffset: number }> {
    for (const [key, { value, recordOffset }] of latest) {
      try {
        const record = readGroupRecord(Buffer.from(key, 'latin1'), value);
        yield { record, recordOffset };
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        this.#report(recordOffset, error.message);
      }
    }
  }

  #report(offset: number, reason: string): void {
    this.#shard.host.log.error(
      { partition: this.#shard.partition, offset, reason },
      'a record of __consumer_offsets cannot be read and was left out',
    );
  }
}

/** Keeps a copy of a record as the latest of its key; values of a key mostly have one length. */
function keep(records: ByKey, key: string, value: Buffer, recordOffset: number): void {
  const known = records.get(key);
  if (known?.value.length === value.length) {
    value.copy(known.value);
    known.recordOffset = recordOffset;
  } else records.set(key, { value: Buffer.from(value), recordOffset });
}

/** Bytes that say something impossible; anything else is a fault of ours or of the disk. */
function isUnreadable(error: unknown): error is Error {
  return (
    error instanceof ProtocolError ||
    error instanceof InvalidRecords ||
    error instanceof CorruptCompression ||
    error instanceof DecompressionLimit
  );
}

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
  readEndTxnMarker,
  readRecords,
} from '../../protocol/records.ts';
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

class ShardLoad {
  readonly #shard: Shard;
  readonly #values = new Map<string, GroupValue>();
  readonly #offsets = new Map<string, GroupOffsets>();
  /** Types of records that belong to other coordinators, and how many there were. */
  readonly #others = new Map<number, number>();

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
      for (const { offset, key, value } of readRecords(buffer, at, records)) {
        this.#record(key, value, offset, producer);
      }
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#report(baseOffset(buffer, at), error);
    }
  }

  /** All records have been read: the groups come to life, their sessions begin now. */
  finish(): void {
    const shard = this.#shard;
    for (const [id, value] of this.#values) {
      const entry = shard.adopt(Group.restore(id, value, shard.host), this.#offsets.get(id));
      this.#offsets.delete(id);
      const { state, generationId, members } = entry.group;
      shard.services.env.log.debug(
        { group: id, state, generation: generationId, members: members.size },
        'a group was loaded',
      );
    }
    for (const [id, offsets] of this.#offsets) {
      if (!offsets.isEmpty) shard.adopt(new Group(id, shard.host), offsets);
    }
    for (const [type, count] of this.#others) {
      shard.services.env.log.warn(
        { partition: shard.partition, type, count },
        'records of a coordinator that this broker does not have were left alone',
      );
    }
  }

  #record(
    key: Buffer | null,
    value: Buffer | null,
    offset: number,
    producer: number | undefined,
  ): void {
    try {
      // The batch's memory goes back when it has been visited: what is kept must be a copy.
      const record = readGroupRecord(key, value === null ? null : Buffer.from(value));
      if (record.kind === 'group') this.#group(record.group, record.value);
      else if (record.kind === 'offset') this.#offset(record, offset, producer);
      else this.#others.set(record.type, (this.#others.get(record.type) ?? 0) + 1);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#report(offset, error);
    }
  }

  #group(id: string, value: GroupValue | undefined): void {
    if (value === undefined) this.#values.delete(id);
    else this.#values.set(id, value);
  }

  #offset(
    record: Extract<GroupRecord, { kind: 'offset' }>,
    recordOffset: number,
    producer: number | undefined,
  ): void {
    const { group, topic, partition, value } = record;
    let offsets = this.#offsets.get(group);
    if (offsets === undefined) {
      offsets = new GroupOffsets(this.#shard.services.budget);
      this.#offsets.set(group, offsets);
    }
    if (value === undefined) {
      offsets.remove(topic, partition);
    } else if (producer === undefined) {
      offsets.put(topic, partition, offsetOf(value, recordOffset));
    } else {
      offsets.putOpen(producer, topic, partition, offsetOf(value, recordOffset));
      const groups = this.#shard.openTransactions.get(producer) ?? new Set();
      this.#shard.openTransactions.set(producer, groups.add(group));
    }
  }

  #marker(producer: number, payload: Buffer): void {
    const groups = this.#shard.openTransactions.get(producer);
    if (groups === undefined) return;
    const marker = readEndTxnMarker(payload);
    if (marker === undefined) return;
    this.#shard.openTransactions.delete(producer);
    for (const group of groups) {
      this.#offsets.get(group)?.endTransaction(producer, marker.type === MarkerType.commit);
    }
  }

  #report(offset: number, error: Error): void {
    this.#shard.host.log.error(
      { partition: this.#shard.partition, offset, reason: error.message },
      'a record of __consumer_offsets cannot be read and was left out',
    );
  }
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

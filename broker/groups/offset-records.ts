/**
 * The records of __consumer_offsets as bytes: key = int16 record type + key of version 0, value =
 * int16 version + value; no value deletes the key. Types 0 and 1 are committed offsets (0 is the
 * same key as written before Kafka 0.9), 2 is a classic group; the others belong to coordinators
 * that keep their state in the same topic.
 *
 * Written are the versions that Kafka 4.4 writes: committed offsets in 4, or in 1 when they carry
 * an expiry of their own; groups in 3. Every version is read.
 * Source: Kafka's GroupCoordinatorRecordHelpers, CoordinatorRecordSerde.
 */

import { codec } from '../../protocol/compile.ts';
import {
  GroupMetadataKey,
  GroupMetadataValue,
  OffsetCommitKey,
  OffsetCommitValue,
} from '../../protocol/messages/group-records.ts';
import { MalformedFrame, Reader } from '../../protocol/reader.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';
import { Writer } from '../../protocol/writer.ts';

/** A record of the topic. */
export interface KeyedRecord {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

export type OffsetValue = Decoded<typeof OffsetCommitValue>;
export type GroupValue = Decoded<typeof GroupMetadataValue>;

/** What a record of the topic says; a missing value deletes. */
export type GroupRecord =
  | {
      readonly kind: 'offset';
      readonly group: string;
      readonly topic: string;
      readonly partition: number;
      readonly value: OffsetValue | undefined;
    }
  | { readonly kind: 'group'; readonly group: string; readonly value: GroupValue | undefined }
  | { readonly kind: 'other'; readonly type: number };

const LEGACY_OFFSET_TYPE = 0;
const OFFSET_TYPE = 1;
const GROUP_TYPE = 2;
const KEY_VERSION = 0;
const GROUP_VALUE_VERSION = 3;
const OFFSET_VALUE_VERSION = 4;
/** The only version that has an expiry of its own. */
const EXPIRING_OFFSET_VALUE_VERSION = 1;

export function offsetRecord(
  group: string,
  topic: string,
  partition: number,
  value: Input<typeof OffsetCommitValue>,
): KeyedRecord {
  const expires = value.expireTimestamp !== undefined && value.expireTimestamp !== -1;
  const version = expires ? EXPIRING_OFFSET_VALUE_VERSION : OFFSET_VALUE_VERSION;
  return {
    key: offsetKey(group, topic, partition),
    value: prefixed(version, OffsetCommitValue, version, value),
  };
}

export function offsetTombstone(group: string, topic: string, partition: number): KeyedRecord {
  return { key: offsetKey(group, topic, partition), value: null };
}

export function groupRecord(group: string, value: Input<typeof GroupMetadataValue>): KeyedRecord {
  return {
    key: groupKey(group),
    value: prefixed(GROUP_VALUE_VERSION, GroupMetadataValue, GROUP_VALUE_VERSION, value),
  };
}

export function groupTombstone(group: string): KeyedRecord {
  return { key: groupKey(group), value: null };
}

/** Throws MalformedFrame for bytes that are no record of this topic. */
export function readGroupRecord(key: Buffer | null, value: Buffer | null): GroupRecord {
  if (key === null) throw new MalformedFrame('a record without a key');
  const reader = new Reader(key);
  const type = reader.int16();
  if (type === LEGACY_OFFSET_TYPE || type === OFFSET_TYPE) {
    const { group, topic, partition } = codec(OffsetCommitKey, KEY_VERSION).decode(reader);
    return { kind: 'offset', group, topic, partition, value: readValue(OffsetCommitValue, value) };
  }
  if (type === GROUP_TYPE) {
    const { group } = codec(GroupMetadataKey, KEY_VERSION).decode(reader);
    return { kind: 'group', group, value: readValue(GroupMetadataValue, value) };
  }
  return { kind: 'other', type };
}

function readValue<M extends Message>(message: M, value: Buffer | null): Decoded<M> | undefined {
  if (value === null) return undefined;
  const reader = new Reader(value);
  return codec(message, reader.int16()).decode(reader);
}

function offsetKey(group: string, topic: string, partition: number): Buffer {
  return prefixed(OFFSET_TYPE, OffsetCommitKey, KEY_VERSION, { group, topic, partition });
}

function groupKey(group: string): Buffer {
  return prefixed(GROUP_TYPE, GroupMetadataKey, KEY_VERSION, { group });
}

function prefixed<M extends Message>(
  prefix: number,
  message: M,
  version: number,
  value: Input<M>,
): Buffer {
  const writer = new Writer();
  writer.int16(prefix);
  codec(message, version).encode(writer, value);
  const parts = writer.finish();
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

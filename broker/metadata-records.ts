/**
 * Records of the __cluster_metadata log as values and as bytes. A record's value is framed as KRaft
 * frames it: frame version 1, the record's type id and its version as unsigned varints, then the
 * message. Its key is null. Source: Kafka's MetadataRecordSerde, AbstractApiMessageSerde.
 */

import { codec } from '../protocol/compile.ts';
import {
  ConfigRecord,
  FeatureLevelRecord,
  NoOpRecord,
  PartitionRecord,
  ProducerIdsRecord,
  RemoveTopicRecord,
  TopicRecord,
} from '../protocol/messages/metadata-records.ts';
import {
  AccessControlEntryRecord,
  ClientQuotaRecord,
  RemoveAccessControlEntryRecord,
  RemoveUserScramCredentialRecord,
  UserScramCredentialRecord,
} from '../protocol/messages/security-records.ts';
import { Reader } from '../protocol/reader.ts';
import { type Decoded, type Input, type Message, parseRange } from '../protocol/schema.ts';
import { Writer } from '../protocol/writer.ts';

const FRAME_VERSION = 1;

/** The declarations by the name that a record carries. */
const kinds = {
  TopicRecord,
  PartitionRecord,
  ConfigRecord,
  RemoveTopicRecord,
  ProducerIdsRecord,
  FeatureLevelRecord,
  NoOpRecord,
  ClientQuotaRecord,
  UserScramCredentialRecord,
  RemoveUserScramCredentialRecord,
  AccessControlEntryRecord,
  RemoveAccessControlEntryRecord,
} as const satisfies { [name: string]: Message };

type Kinds = typeof kinds;
export type MetadataKind = keyof Kinds;

/** One record, with the declaration's name as the tag of the union. */
export type MetadataRecord = {
  readonly [K in MetadataKind]: { readonly kind: K; readonly value: Decoded<Kinds[K]> };
}[MetadataKind];

/** What may be written: fields with a default may be left out. */
export type NewMetadataRecord = {
  readonly [K in MetadataKind]: { readonly kind: K; readonly value: Input<Kinds[K]> };
}[MetadataKind];

const byKey = new Map<number, MetadataKind>(
  Object.entries(kinds).map(([name, message]) => [message.key, name as MetadataKind]),
);

/** Version in which each record is written: the first one says all that one node has to say. */
const WRITTEN_VERSION = 0;

/** The value bytes of a record. */
export function encodeMetadataRecord(record: NewMetadataRecord): Buffer {
  const message: Message = kinds[record.kind];
  const writer = new Writer(64);
  writer.unsignedVarint(FRAME_VERSION);
  writer.unsignedVarint(message.key);
  writer.unsignedVarint(WRITTEN_VERSION);
  codec(message, WRITTEN_VERSION).encode(writer, record.value as Input<Message>);
  return Buffer.concat(writer.finish());
}

/**
 * Reads a record's value bytes; undefined for a kind, or a version of it, that this broker does
 * not use. Throws ProtocolError on bytes that are no record.
 */
export function decodeMetadataRecord(bytes: Buffer): MetadataRecord | undefined {
  const reader = new Reader(bytes);
  const frameVersion = reader.unsignedVarint();
  if (frameVersion !== FRAME_VERSION) reader.fail(`frame version ${frameVersion}`);
  const kind = byKey.get(reader.unsignedVarint());
  const version = reader.unsignedVarint();
  if (kind === undefined || version > parseRange(kinds[kind].versions).last) return undefined;
  return { kind, value: codec(kinds[kind] as Message, version).decode(reader) } as MetadataRecord;
}

/**
 * Records and batches in readable form: text where bytes are UTF-8, else hexadecimal; the records of
 * the internal topics, and those of control batches, by their declarations.
 */

import { isUtf8 } from 'node:buffer';
import { readGroupRecord } from '../../broker/groups/offset-records.ts';
import { decodeMetadataRecord } from '../../broker/metadata-records.ts';
import {
  readTransactionKey,
  readTransactionValue,
} from '../../broker/transactions/transaction-records.ts';
import { codecNames } from '../../protocol/compression.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import type { BatchHeader } from '../../protocol/record-batch.ts';
import type { Record } from '../../protocol/records.ts';
import type { PlacedBatch } from '../../storage/inspect/read-batches.ts';
import { timeText } from './output.ts';

interface Place {
  readonly topic: string;
  readonly partition: number;
}

export interface RecordForm extends Place {
  readonly header: BatchHeader;
  /** Bytes shown of a key or value; 0 shows all. */
  readonly valueBytes: number;
}

const CONTROL_TYPES = new Map([
  [0, 'abort'],
  [1, 'commit'],
  [2, 'leader change'],
  [3, 'snapshot header'],
  [4, 'snapshot footer'],
  [5, 'KRaft version'],
  [6, 'KRaft voters'],
]);

/** Whether bytes are UTF-8 without control characters other than tab and line ends. */
function isText(bytes: Buffer): boolean {
  if (!isUtf8(bytes)) return false;
  return bytes.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d && byte !== 0x0b));
}

/** Bytes as JSON has them: text, or an object that says that they are hexadecimal. */
export function jsonOf(bytes: Buffer | null): string | { readonly hex: string } | null {
  if (bytes === null) return null;
  return isText(bytes) ? bytes.toString() : { hex: bytes.toString('hex') };
}

/** A decoded record with its bytes as JSON has them. */
function readable(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return jsonOf(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, readable(one)]));
}

/** Bytes on a line: text without control characters, or `0x` and hexadecimal. */
export function textOf(bytes: Buffer | null, most: number): string {
  if (bytes === null) return 'null';
  const isCut = most > 0 && bytes.length > most;
  const more = isCut ? ` (${bytes.length} bytes)` : '';
  if (!isText(bytes)) return `0x${bytes.toString('hex', 0, isCut ? most : bytes.length)}${more}`;
  const text = isCut ? cutText(bytes, most) : bytes.toString();
  return JSON.stringify(text) + more;
}

/** The first bytes of a text, without half a character at the end. */
function cutText(bytes: Buffer, most: number): string {
  let end = most;
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** What a record of an internal topic or of a control batch says; undefined for all others. */
function meaningOf(record: Record, form: RecordForm): object | undefined {
  const decoded = decode(record, form);
  return decoded && (readable(decoded) as object);
}

function decode(record: Record, { topic, header }: RecordForm): object | undefined {
  const { key, value } = record;
  if (header.control) {
    const type = key !== null && key.length >= 4 ? key.readInt16BE(2) : -1;
    return { control: CONTROL_TYPES.get(type) ?? `type ${type}` };
  }
  try {
    if (topic === '__consumer_offsets') return readGroupRecord(key, value);
    if (topic === '__transaction_state' && key !== null) {
      const transactionalId = readTransactionKey(key);
      if (transactionalId === undefined) return undefined;
      return { transactionalId, state: value && stateOf(value) };
    }
    if (topic === '__cluster_metadata' && value !== null) return decodeMetadataRecord(value);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { undecoded: error.message };
  }
  return undefined;
}

function stateOf(value: Buffer): object {
  const { partitions, ...state } = readTransactionValue(value);
  return {
    ...state,
    partitions: Object.fromEntries([...partitions].map(([topic, ids]) => [topic, [...ids]])),
  };
}

export function recordFields(record: Record, form: RecordForm): object {
  const { topic, partition, header } = form;
  const { producerId, producerEpoch, leaderEpoch, transactional, codec } = header;
  return {
    topic,
    partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: jsonOf(record.key),
    value: jsonOf(record.value),
    headers: record.headers.map((one) => ({ key: one.key, value: jsonOf(one.value) })),
    ...(producerId >= 0 && { producerId, producerEpoch, transactional }),
    leaderEpoch,
    codec: codecNames[codec] ?? codec,
    meaning: meaningOf(record, form),
  };
}

export function recordLine(record: Record, form: RecordForm): string {
  const { topic, partition, valueBytes, header } = form;
  const meaning = meaningOf(record, form);
  const parts = [
    `${topic}-${partition}`,
    record.offset,
    timeText(record.timestamp) ?? '-',
    ...(header.producerId < 0 ? [] : [`producer ${header.producerId}/${header.producerEpoch}`]),
  ];
  if (meaning !== undefined) parts.push(JSON.stringify(meaning));
  else parts.push(textOf(record.key, valueBytes), textOf(record.value, valueBytes));
  for (const { key, value } of record.headers) parts.push(`${key}=${textOf(value, valueBytes)}`);
  return parts.join('  ');
}

export function batchFields({ file, position, header }: PlacedBatch): object {
  return { file, position, ...header, codec: codecNames[header.codec] ?? header.codec };
}

export function batchLine({ topic, partition }: Place, { position, header }: PlacedBatch): string {
  const { baseOffset, lastOffset, recordCount, sizeBytes, codec, maxTimestamp } = header;
  const { producerId, producerEpoch, baseSequence, leaderEpoch } = header;
  const parts = [
    `${topic}-${partition}`,
    `${baseOffset}..${lastOffset}`,
    `at ${position}`,
    `${sizeBytes} bytes`,
    `${recordCount} records`,
    codecNames[codec] ?? `codec ${codec}`,
    timeText(maxTimestamp) ?? '-',
    `epoch ${leaderEpoch}`,
  ];
  if (producerId >= 0) parts.push(`producer ${producerId}/${producerEpoch} from ${baseSequence}`);
  if (header.transactional) parts.push('transactional');
  if (header.control) parts.push('control');
  if (header.hasDeleteHorizon) parts.push('delete horizon');
  return parts.join('  ');
}

/**
 * What is checked of a client's batch before it gets its offsets (DESIGN.md, "What is checked of a
 * batch"), and what is changed of it: the timestamp type, and the codec where the topic has one of
 * its own. An ordinary batch is checked in the turn, in place; a promise is given only where records
 * must be decompressed or compressed, which a worker does.
 *
 * Errors are those of Kafka 4.4 in the order in which it finds them.
 * Source: KAFKA.md points 14-20; ProduceRequest.validateRecords, UnifiedLog, LogValidator.
 */

import { isCodecNumber } from '../protocol/compression.ts';
import { type ErrorName, ProtocolError } from '../protocol/errors.ts';
import {
  assignAppendTime,
  assignMaxTimestamp,
  BATCH_HEADER_BYTES,
  type BatchHeader,
  batchBytes,
  Codec,
  type CodecNumber,
  isCrcRight,
  LOG_OVERHEAD,
  MAGIC,
  magic,
  NO_TIMESTAMP,
  readBatchHeader,
} from '../protocol/record-batch.ts';
import { InvalidRecords, payloadOf, wrapPayload } from '../protocol/records.ts';
import { type CheckResult, codecName, type JobFault } from './codec-job.ts';
import type { Codecs } from './codec-pool.ts';
import {
  checkRecords,
  type RecordError,
  type RecordFindings,
  type RecordRules,
} from './record-checks.ts';

/** What a topic demands of batches; derived from its configuration (validation-rules.ts). */
export interface ValidationRules extends RecordRules {
  readonly maxMessageBytes: number;
  readonly segmentBytes: number;
  readonly logAppendTime: boolean;
  /** `record.validation=full`: compressed records are checked as uncompressed ones are. */
  readonly full: boolean;
  /** The codec in which the topic keeps batches; undefined for the producer's. */
  readonly target: { readonly codec: CodecNumber; readonly level: number | undefined } | undefined;
  /** What a compressed batch may become. */
  readonly maxDecompressedBytes: number;
  /** `max.decompressed.message.bytes`: what a record that came compressed may have. */
  readonly maxRecordBytes: number;
}

export interface ValidationContext {
  readonly codecs: Codecs;
  /** zstd is for Produce 7 and later. */
  readonly produceVersion: number;
}

/** A batch that may be appended. */
export interface ValidBatch {
  /** The client's bytes, changed in place where need was, or a batch made anew. */
  readonly batch: Buffer;
  readonly header: BatchHeader;
  /** -1 unless the topic sets the time. */
  readonly logAppendTime: number;
}

/** A batch that was refused, with the records at fault where they are known. */
export class RejectedBatch extends ProtocolError {
  readonly recordErrors: readonly RecordError[];

  constructor(errorName: ErrorName, message: string, recordErrors: readonly RecordError[] = []) {
    super(errorName, message);
    this.recordErrors = recordErrors;
  }
}

/** From the batch's first byte to its magic, without which nothing can be said of it. */
const HEAD_TO_MAGIC_BYTES = 17;
/** Below this not even a record of the first format fits. */
const MIN_BATCH_LENGTH = 14;
/** First Produce version in which zstd may be used (KIP-110). */
const ZSTD_PRODUCE_VERSION = 7;

/** Checks one partition's records in a Produce request. Throws, or rejects with, RejectedBatch. */
export function validateBatch(
  records: Buffer | null,
  rules: ValidationRules,
  nowMs: number,
  context: ValidationContext,
): ValidBatch | Promise<ValidBatch> {
  const batch = onlyBatch(records, context.produceVersion);
  const header = checkHeader(batch, rules);
  const recompresses = rules.target !== undefined && rules.target.codec !== header.codec;
  if (header.codec === Codec.none && !recompresses) {
    const findings = checkUncompressed(batch, header, rules, nowMs);
    return finish(batch, header, findings.maxTimestamp, rules, nowMs);
  }
  if (recompresses || rules.full || rules.keyRequired) {
    return checkInWorker(batch, header, rules, nowMs, context.codecs);
  }
  checkHeaderTimes(header, rules, nowMs);
  return finish(batch, header, header.maxTimestamp, rules, nowMs);
}

/** The one whole batch of magic 2 that a partition's records must be. */
function onlyBatch(records: Buffer | null, produceVersion: number): Buffer {
  if (records === null || records.length < HEAD_TO_MAGIC_BYTES) {
    return reject('INVALID_RECORD', 'There is no record batch for the partition.');
  }
  const size = batchBytes(records, 0);
  if (size < LOG_OVERHEAD + MIN_BATCH_LENGTH) {
    return reject('CORRUPT_MESSAGE', `The batch length ${size - LOG_OVERHEAD} is too small.`);
  }
  const version = magic(records, 0);
  if (version < 0 || version > MAGIC) {
    return reject('CORRUPT_MESSAGE', `The batch has the unknown magic ${version}.`);
  }
  if (size > records.length) {
    return reject('INVALID_RECORD', `A batch of ${size} bytes is cut after ${records.length}.`);
  }
  if (version !== MAGIC) {
    return reject('INVALID_RECORD', `The batch has magic ${version}, only ${MAGIC} is taken.`);
  }
  if (size < BATCH_HEADER_BYTES) {
    return reject('CORRUPT_MESSAGE', `The batch of ${size} bytes is shorter than its header.`);
  }
  const codec = records[22]! & 0x07;
  if (codec === Codec.zstd && produceVersion < ZSTD_PRODUCE_VERSION) {
    return reject(
      'UNSUPPORTED_COMPRESSION_TYPE',
      `Produce ${produceVersion} may not use zstd, which came with ${ZSTD_PRODUCE_VERSION}.`,
    );
  }
  if (size < records.length) {
    return reject('INVALID_RECORD', 'There is more than one record batch for the partition.');
  }
  return records;
}

function checkHeader(batch: Buffer, rules: ValidationRules): BatchHeader {
  if (batch.length > rules.maxMessageBytes) {
    reject(
      'MESSAGE_TOO_LARGE',
      `The batch has ${batch.length} bytes, the topic takes ${rules.maxMessageBytes}.`,
    );
  }
  if (!isCrcRight(batch, 0)) reject('CORRUPT_MESSAGE', 'The batch has a wrong checksum.');
  const header = readBatchHeader(batch, 0);
  if (header.baseOffset !== 0) {
    reject('INVALID_RECORD', `The batch has base offset ${header.baseOffset} instead of 0.`);
  }
  const { recordCount, lastOffset } = header;
  if (recordCount <= 0 || lastOffset + 1 !== recordCount) {
    reject('INVALID_RECORD', `${recordCount} records have the last offset delta ${lastOffset}.`);
  }
  if (header.control) reject('INVALID_RECORD', 'Clients may not write control records.');
  if (header.producerId >= 0) checkProducer(header);
  if (!isCodecNumber(header.codec)) {
    reject('UNSUPPORTED_COMPRESSION_TYPE', `No codec has the number ${header.codec}.`);
  }
  if (header.logAppendTime) {
    reject('INVALID_TIMESTAMP', 'Producers may not set the timestamp type LogAppendTime.');
  }
  if (header.hasDeleteHorizon) {
    reject('INVALID_RECORD', 'Producers may not set a delete horizon.');
  }
  if (batch.length > rules.segmentBytes) {
    reject(
      'RECORD_LIST_TOO_LARGE',
      `The batch has ${batch.length} bytes, a segment ${rules.segmentBytes}.`,
    );
  }
  return header;
}

function checkProducer(header: BatchHeader): void {
  const { producerId, producerEpoch, baseSequence } = header;
  if (baseSequence < 0) {
    reject('INVALID_RECORD', `Sequence ${baseSequence} with producer id ${producerId}.`);
  }
  if (producerEpoch < 0) {
    reject('INVALID_RECORD', `Epoch ${producerEpoch} with producer id ${producerId}.`);
  }
  // Ids are given out from 0 on in blocks; the largest is that of our own gap batches.
  if (producerId >= Number.MAX_SAFE_INTEGER) {
    reject('INVALID_RECORD', `No producer was ever given the id ${producerId}.`);
  }
}

function checkUncompressed(
  batch: Buffer,
  header: BatchHeader,
  rules: ValidationRules,
  nowMs: number,
): RecordFindings {
  let findings: RecordFindings;
  try {
    findings = checkRecords(batch, BATCH_HEADER_BYTES, batch.length, header, rules, nowMs);
  } catch (error) {
    if (error instanceof InvalidRecords) return reject('INVALID_RECORD', error.message);
    throw error;
  }
  rejectFindings(findings);
  return findings;
}

/**
 * Of records that stay compressed only the times in the header are known: the first record's and
 * the largest.
 */
function checkHeaderTimes(header: BatchHeader, rules: ValidationRules, nowMs: number): void {
  if (!rules.checksTimestamps) return;
  const earliest = nowMs - rules.timestampBeforeMaxMs;
  const latest = nowMs + rules.timestampAfterMaxMs;
  const { baseTimestamp, maxTimestamp } = header;
  const isWithin = (time: number) => time === NO_TIMESTAMP || (time >= earliest && time <= latest);
  if (isWithin(baseTimestamp) && isWithin(maxTimestamp)) return;
  reject(
    'INVALID_TIMESTAMP',
    `Timestamps ${baseTimestamp} to ${maxTimestamp} are not within [${earliest}, ${latest}].`,
  );
}

async function checkInWorker(
  batch: Buffer,
  header: BatchHeader,
  rules: ValidationRules,
  nowMs: number,
  codecs: Codecs,
): Promise<ValidBatch> {
  const target = rules.target?.codec === header.codec ? undefined : rules.target;
  const result: CheckResult | JobFault = await codecs.run({
    kind: 'check',
    payload: payloadOf(batch, 0),
    codec: header.codec,
    maxBytes: rules.maxDecompressedBytes,
    claims: { recordCount: header.recordCount, baseTimestamp: header.baseTimestamp },
    rules: recordRules(rules),
    maxRecordBytes: rules.maxRecordBytes,
    nowMs,
    target,
  });
  if ('fault' in result) {
    const error = result.fault === 'too large' ? 'MESSAGE_TOO_LARGE' : 'INVALID_RECORD';
    return reject(error, `Its records (${codecName(header.codec)}): ${result.message}`);
  }
  rejectFindings(result.findings);
  const { maxTimestamp } = result.findings;
  if (target === undefined || result.payload === undefined) {
    return finish(batch, header, maxTimestamp, rules, nowMs);
  }
  const { baseSequence, transactional, producerId, producerEpoch, recordCount } = header;
  const { buffer, byteOffset, byteLength } = result.payload;
  const rebuilt = wrapPayload(
    { baseSequence, transactional, producerId, producerEpoch },
    Buffer.from(buffer, byteOffset, byteLength),
    {
      codec: target.codec,
      lastOffsetDelta: header.lastOffset,
      baseTimestamp: header.baseTimestamp,
      maxTimestamp,
      recordCount,
    },
  );
  checkRebuiltSize(rebuilt, rules);
  return finish(rebuilt, readBatchHeader(rebuilt, 0), maxTimestamp, rules, nowMs);
}

/** Only what the worker reads: messages to it are copied. */
function recordRules(rules: ValidationRules): RecordRules {
  const { keyRequired, checksTimestamps } = rules;
  const { timestampBeforeMaxMs, timestampAfterMaxMs } = rules;
  return {
    keyRequired,
    checksTimestamps,
    timestampBeforeMaxMs,
    timestampAfterMaxMs,
  };
}

/** In another codec a batch may have become larger than what is allowed. */
function checkRebuiltSize(batch: Buffer, rules: ValidationRules): void {
  if (batch.length > rules.maxMessageBytes) {
    reject(
      'MESSAGE_TOO_LARGE',
      `The batch has ${batch.length} bytes in the topic's codec, ${rules.maxMessageBytes} are taken.`,
    );
  }
  if (batch.length > rules.segmentBytes) {
    reject(
      'RECORD_LIST_TOO_LARGE',
      `The batch has ${batch.length} bytes in the topic's codec, a segment ${rules.segmentBytes}.`,
    );
  }
}

/** Sets the batch's time, which may be the broker's, or the producer's where the header is wrong. */
function finish(
  batch: Buffer,
  header: BatchHeader,
  maxTimestamp: number,
  rules: ValidationRules,
  nowMs: number,
): ValidBatch {
  if (rules.logAppendTime) {
    assignAppendTime(batch, 0, nowMs);
    return { batch, header: readBatchHeader(batch, 0), logAppendTime: nowMs };
  }
  if (maxTimestamp === header.maxTimestamp) {
    return { batch, header, logAppendTime: NO_TIMESTAMP };
  }
  assignMaxTimestamp(batch, 0, maxTimestamp);
  return { batch, header: readBatchHeader(batch, 0), logAppendTime: NO_TIMESTAMP };
}

function rejectFindings({ errors, hasInvalidTimestamp }: RecordFindings): void {
  if (errors.length === 0) return;
  const error = hasInvalidTimestamp ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD';
  const count = errors.length === 1 ? 'One record was' : `${errors.length} records were`;
  throw new RejectedBatch(error, `${count} refused: ${errors[0]!.message}`, errors);
}

function reject(error: ErrorName, message: string): never {
  throw new RejectedBatch(error, message);
}

/** One partition's part of a Produce: the records that came, and what is to be answered of them. */

import { ErrorCode } from '../protocol/errors.ts';
import { MAGIC } from '../protocol/record-batch.ts';
import type { Partition } from './partition.ts';
import type { RecordError } from './record-checks.ts';

const NO_OFFSET = -1;
const NO_TIMESTAMP = -1;
const NO_ERRORS: readonly RecordError[] = [];
/** Where a batch has its magic, and the byte of its attributes that has the transactional bit. */
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 22;
const TRANSACTIONAL_BIT = 0x10;

export class ProducePart {
  readonly topicName: string;
  readonly index: number;
  /** Undefined when it is not there. */
  readonly partition: Partition | undefined;
  /** Given up when they are in the log. */
  records: Buffer | null;
  errorCode = ErrorCode.NONE as number;
  errorMessage: string | null = null;
  recordErrors = NO_ERRORS;
  baseOffset = NO_OFFSET;
  logAppendTimeMs = NO_TIMESTAMP;
  logStartOffset = NO_OFFSET;
  /** End of what was appended, which the acknowledgement waits for; -1 when there is nothing. */
  ackEnd = NO_OFFSET;

  constructor(
    topicName: string,
    index: number,
    partition: Partition | undefined,
    records: Buffer | null,
  ) {
    this.topicName = topicName;
    this.index = index;
    this.partition = partition;
    this.records = records;
  }

  get sizeBytes(): number {
    return this.records?.length ?? 0;
  }

  /** Nothing speaks against it so far. */
  get isOpen(): boolean {
    return this.errorCode === ErrorCode.NONE;
  }

  /** Whether its first batch, the only one allowed, is part of a transaction. */
  get isTransactional(): boolean {
    const { records } = this;
    if (records === null || records.length <= ATTRIBUTES_AT) return false;
    return records[MAGIC_AT] === MAGIC && (records[ATTRIBUTES_AT]! & TRANSACTIONAL_BIT) !== 0;
  }

  fail(errorCode: number): void {
    this.errorCode = errorCode;
    this.baseOffset = NO_OFFSET;
    this.logAppendTimeMs = NO_TIMESTAMP;
    this.ackEnd = NO_OFFSET;
    this.records = null;
  }
}

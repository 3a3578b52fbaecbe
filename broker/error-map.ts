/**
 * From what goes wrong inside to Kafka's error codes. The one place that knows both sides; what it
 * does not know is a bug of ours, UNKNOWN_SERVER_ERROR, and is logged with its stack.
 */

import { ErrorCode, ProtocolError } from '../protocol/errors.ts';
import {
  CorruptLog,
  HoldTimeout,
  InvalidProducerEpoch,
  InvalidTxnState,
  LogDeleted,
  LogFailed,
  OffsetOutOfRange,
  OutOfOrderSequence,
  StorageError,
  TransactionCoordinatorFenced,
} from '../storage/errors.ts';

type ErrorClass = new (message: string, options?: ErrorOptions) => StorageError;

const storageCodes = new Map<ErrorClass, number>([
  [OffsetOutOfRange, ErrorCode.OFFSET_OUT_OF_RANGE],
  [CorruptLog, ErrorCode.CORRUPT_MESSAGE],
  [LogFailed, ErrorCode.KAFKA_STORAGE_ERROR],
  [LogDeleted, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION],
  [HoldTimeout, ErrorCode.KAFKA_STORAGE_ERROR],
  [OutOfOrderSequence, ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER],
  [InvalidProducerEpoch, ErrorCode.INVALID_PRODUCER_EPOCH],
  [InvalidTxnState, ErrorCode.INVALID_TXN_STATE],
  [TransactionCoordinatorFenced, ErrorCode.TRANSACTION_COORDINATOR_FENCED],
]);

/** Whether an error came from a system call: Node gives those a code, a number and a call. */
function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error && 'syscall' in error;
}

/** That of the nearest class that has one: the storage has kinds of its own below some. */
function storageCodeOf(error: StorageError): number | undefined {
  let kind = error.constructor as ErrorClass;
  while (!storageCodes.has(kind) && kind.prototype instanceof StorageError) {
    kind = Object.getPrototypeOf(kind) as ErrorClass;
  }
  return storageCodes.get(kind);
}

/** Kafka's code for an error of any kind. */
export function errorCodeOf(error: unknown): number {
  if (error instanceof ProtocolError) return error.code;
  if (error instanceof StorageError) {
    return storageCodeOf(error) ?? ErrorCode.KAFKA_STORAGE_ERROR;
  }
  // Whatever the disk refuses (ENOSPC, EIO, EMFILE, EROFS), the client may try again later.
  return isSystemError(error) ? ErrorCode.KAFKA_STORAGE_ERROR : ErrorCode.UNKNOWN_SERVER_ERROR;
}

/** Who is to look at an error: the client alone, whoever runs the broker, or whoever wrote it. */
export function blameOf(error: unknown): 'client' | 'storage' | 'broker' {
  if (error instanceof ProtocolError) return 'client';
  return error instanceof StorageError || isSystemError(error) ? 'storage' : 'broker';
}

/** The text a client may see: never a stack, nor the inside of a bug of ours. */
export function messageFor(error: unknown): string {
  if (blameOf(error) === 'client') return (error as Error).message;
  return errorCodeOf(error) === ErrorCode.UNKNOWN_SERVER_ERROR
    ? 'The broker met an unexpected error.'
    : (error as Error).message;
}

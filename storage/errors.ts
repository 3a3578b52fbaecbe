/** What can go wrong in the storage. Only broker/error-map.ts knows Kafka's codes for these. */

/** Base of all that the storage throws on purpose. */
export class StorageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** An offset below the log start or above the end. */
export class OffsetOutOfRange extends StorageError {}

/** Bytes on disk that are not what was written; the message names file, position and reason. */
export class CorruptLog extends StorageError {}

/** Writing to this log failed (full disk, EIO); it takes nothing until it has been read anew. */
export class LogFailed extends StorageError {}

/** The log was deleted while something waited on it. */
export class LogDeleted extends StorageError {}

/** No room was found for a source within `produce.hold.max.ms`. */
export class HoldTimeout extends StorageError {}

/** A batch whose sequence neither follows the last one nor repeats one of the last five. */
export class OutOfOrderSequence extends StorageError {}

/** A batch of a producer epoch that is older than the newest known. */
export class InvalidProducerEpoch extends StorageError {}

/** A batch outside of a transaction from a producer that has one open. */
export class InvalidTxnState extends StorageError {}

/** A marker of a transaction coordinator that is older than the newest known. */
export class TransactionCoordinatorFenced extends StorageError {}

/** The data folder belongs to another running broker, or is not one. */
export class DataFolderUnusable extends StorageError {}

/** The process, or the system, has as many files open as it may: what was to be opened was not. */
export function isOutOfDescriptors(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
}

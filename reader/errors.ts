/** The one error of the library. `code` says what happened; what cannot be known is undefined. */

export type ReadErrorCode =
  /** The options contradict each other or name what cannot be. */
  | 'INVALID_OPTIONS'
  /** There is no such topic, or no such partition of it. */
  | 'TOPIC_NOT_FOUND'
  /** The topic was deleted, or made anew under its name, while it was read. */
  | 'TOPIC_DELETED'
  /** The offset to go on from is not in the log any more, and `reset` is `error`. */
  | 'OFFSET_OUT_OF_RANGE'
  /** The broker lost records that were already given, and `reset` is `error`. */
  | 'LOG_TRUNCATED'
  /** No broker answered for as long as `patienceMs`. */
  | 'UNREACHABLE'
  /** Bytes that are no sound records, whichever way they came. */
  | 'CORRUPT'
  /** The broker refused; the message names Kafka's error. */
  | 'REFUSED';

export class ReadError extends Error {
  readonly code: ReadErrorCode;
  readonly partition: number | undefined;
  /** The offset that was asked for. */
  readonly offset: number | undefined;
  /** Where reading could go on: the log's start, or the offset up to which both logs agree. */
  readonly resumeAt: number | undefined;

  constructor(
    code: ReadErrorCode,
    message: string,
    at: {
      readonly partition?: number;
      readonly offset?: number;
      readonly resumeAt?: number;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, at.cause === undefined ? undefined : { cause: at.cause });
    this.name = 'ReadError';
    this.code = code;
    this.partition = at.partition;
    this.offset = at.offset;
    this.resumeAt = at.resumeAt;
  }
}

/** Why bytes of a location could not be had or believed. */
export type LocationFailure =
  /** The file has gone or is another one: the place is to be asked for again. */
  | 'gone'
  /** There is no way to it from here: permission, network, another file system. */
  | 'unreachable'
  /** The bytes are not what was located. */
  | 'unsound';

/** Told to who asks for locations, never to the library's user: another answer is asked for. */
export class LocationFault extends Error {
  readonly failure: LocationFailure;

  constructor(failure: LocationFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LocationFault';
    this.failure = failure;
  }
}

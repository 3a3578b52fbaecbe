/**
 * A consumer that costs next to nothing, so that the broker's reading is what is measured: answers
 * are stepped over as they come, and only what stands before the records is looked at. It wants
 * partitions whose batches are all alike: from the bytes of an answer it knows how many came whole.
 *
 * Answers are Fetch version 11, where all that precedes records is of known length.
 */

import { connect, type Socket } from 'node:net';
import { encodeRequest } from '../../protocol/header.ts';
import { FetchRequest } from '../../protocol/messages/fetch.ts';
import { CLIENT_ID } from './connection.ts';
import { refuseError } from './topics.ts';

const FETCH_VERSION = 11;
const READ_BUFFER = Buffer.allocUnsafeSlow(1024 * 1024);
/** Size, correlation id, throttle time, error, session id, topics, and the topic's name's length. */
const ANSWER_ERROR_AT = 12;
const ANSWER_HEAD_BYTES = 24;
const PARTITIONS_BYTES = 4;
/** Index, error, three offsets, aborted transactions, preferred replica, length of the records. */
const PARTITION_ERROR_AT = 4;
const ABORTED_AT = 30;
const RECORDS_LENGTH_AT = 38;
const PARTITION_HEAD_BYTES = 42;
const MAX_WAIT_MS = 500;

export interface SkimmedTopic {
  readonly topic: string;
  /** End offsets by partition: each is read from 0 to its end, over and over. */
  readonly ends: readonly number[];
  readonly batchBytes: number;
  readonly recordCount: number;
}

interface Limits {
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
}

/** What Java consumers ask for by default. */
const USUAL: Limits = { maxBytes: 50 * 1024 * 1024, partitionMaxBytes: 1024 * 1024 };

export class SkimmingReader {
  /** Bytes of whole batches so far. */
  bytes = 0;
  /** Set it, and the reading ends with the answer that is under way. */
  stopped = false;
  /** The same when so many bytes have come. */
  stopAfterBytes = Number.POSITIVE_INFINITY;
  readonly #topic: SkimmedTopic;
  readonly #limits: Limits;
  readonly #next: number[];
  readonly #socket: Socket;
  /** What precedes the next records, as far as it has come. */
  readonly #head: Buffer;
  #headBytes = 0;
  #headFilled = 0;
  /** Records that are still to be stepped over. */
  #skip = 0;
  /** Partitions of the answer under way whose records have not begun. */
  #partitionsLeft = 0;
  #ended!: () => void;
  #failed!: (error: Error) => void;
  readonly #done: Promise<void>;

  constructor(host: string, port: number, topic: SkimmedTopic, limits: Limits = USUAL) {
    this.#topic = topic;
    this.#limits = limits;
    this.#next = topic.ends.map(() => 0);
    this.#head = Buffer.alloc(
      ANSWER_HEAD_BYTES + topic.topic.length + PARTITIONS_BYTES + PARTITION_HEAD_BYTES,
    );
    this.#done = new Promise((resolve, reject) => {
      this.#ended = resolve;
      this.#failed = reject;
    });
    const callback = (sizeBytes: number, buffer: Uint8Array) => {
      try {
        this.#take(buffer as Buffer, sizeBytes);
      } catch (error) {
        this.#failed(error as Error);
      }
      return true;
    };
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback },
    });
    this.#socket.on('error', this.#failed);
    this.#socket.on('close', () => this.#failed(new Error('the broker closed the connection')));
  }

  /** Reads until it is stopped. */
  async run(): Promise<void> {
    this.#ask();
    try {
      await this.#done;
    } finally {
      this.#socket.destroy();
    }
  }

  #ask(): void {
    const { topic } = this.#topic;
    const { maxBytes, partitionMaxBytes } = this.#limits;
    const partitions = this.#next.map((fetchOffset, partition) => ({
      partition,
      fetchOffset,
      partitionMaxBytes,
    }));
    const value = {
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes,
      topics: [{ topic, partitions }],
    };
    const header = { apiVersion: FETCH_VERSION, correlationId: 1, clientId: CLIENT_ID };
    this.#socket.write(Buffer.concat(encodeRequest(FetchRequest, header, value)));
    this.#partitionsLeft = this.#next.length;
    this.#headBytes = this.#head.length;
  }

  #take(chunk: Buffer, sizeBytes: number): void {
    let at = 0;
    while (at < sizeBytes) {
      const skipped = Math.min(this.#skip, sizeBytes - at);
      this.#skip -= skipped;
      at += skipped;
      const count = Math.min(this.#headBytes - this.#headFilled, sizeBytes - at);
      chunk.copy(this.#head, this.#headFilled, at, at + count);
      this.#headFilled += count;
      at += count;
      if (this.#headBytes > 0 && this.#headFilled === this.#headBytes) this.#readHead();
      if (this.#skip === 0 && this.#partitionsLeft === 0) this.#answered();
    }
  }

  #readHead(): void {
    const head = this.#head;
    if (this.#headBytes === head.length) {
      refuseError('Fetch', head.readInt16BE(ANSWER_ERROR_AT));
    }
    const partition = this.#headBytes - PARTITION_HEAD_BYTES;
    refuseError('Fetch', head.readInt16BE(partition + PARTITION_ERROR_AT));
    if (head.readInt32BE(partition + ABORTED_AT) > 0) throw new Error('aborted transactions');
    const recordsBytes = Math.max(0, head.readInt32BE(partition + RECORDS_LENGTH_AT));
    this.#count(head.readInt32BE(partition), recordsBytes);
    this.#skip = recordsBytes;
    this.#partitionsLeft -= 1;
    this.#headFilled = 0;
    this.#headBytes = this.#partitionsLeft > 0 ? PARTITION_HEAD_BYTES : 0;
  }

  #count(partition: number, recordsBytes: number): void {
    const { batchBytes, recordCount, ends } = this.#topic;
    const batches = Math.floor(recordsBytes / batchBytes);
    this.bytes += batches * batchBytes;
    const next = this.#next[partition]! + batches * recordCount;
    if (next > ends[partition]!) throw new Error('more records than there are');
    this.#next[partition] = next;
  }

  #answered(): void {
    if (this.stopped || this.bytes >= this.stopAfterBytes) {
      this.#ended();
      return;
    }
    // All of them at once, so that no answer waits for what comes never.
    const isOver = this.#next.every((next, partition) => next >= this.#topic.ends[partition]!);
    if (isOver) this.#next.fill(0);
    this.#ask();
  }
}

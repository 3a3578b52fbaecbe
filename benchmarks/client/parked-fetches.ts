/**
 * Fetches that wait, each on a connection of its own, with as little as a connection can be: the
 * broker's cost is what is to be seen, and thousands of sockets cost their opener enough. Any answer
 * is a failure.
 */

import { connect, type Socket } from 'node:net';
import { encodeRequest } from '../../protocol/header.ts';
import { FetchRequest } from '../../protocol/messages/fetch.ts';
import { CLIENT_ID } from './connection.ts';

const FETCH_VERSION = 12;
const OPENING_AT_ONCE = 256;
const MAX_BYTES = 64 * 1024;
const READ_BUFFER = Buffer.alloc(4096);

export interface ParkedOptions {
  readonly host: string;
  readonly port: number;
  readonly topic: string;
  /** Fetches wait on these in turn. */
  readonly partitions: number;
  readonly maxWaitMs: number;
}

export class ParkedFetches {
  /** Rejects when a fetch ends that should still wait. */
  readonly failed: Promise<never>;
  readonly #options: ParkedOptions;
  readonly #requests: readonly Buffer[];
  readonly #sockets: Socket[] = [];
  #fail: (error: Error) => void = () => {};
  #isClosing = false;

  constructor(options: ParkedOptions) {
    this.#options = options;
    this.#requests = Array.from({ length: options.partitions }, (_, partition) =>
      requestOf(options, partition),
    );
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Whoever waits for something else looks at it too; a failure before is not unhandled.
    this.failed.catch(() => {});
  }

  /** Opens until there are so many. */
  async park(count: number): Promise<void> {
    const openers = Array.from({ length: OPENING_AT_ONCE }, async () => {
      while (this.#sockets.length < count) await this.#open();
    });
    await Promise.race([Promise.all(openers), this.failed]);
  }

  /** From now on an answer is no failure. */
  expectAnswers(): void {
    this.#isClosing = true;
  }

  close(): void {
    this.#isClosing = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): Promise<void> {
    const { host, port } = this.#options;
    const callback = () => {
      this.#ended();
      return true;
    };
    const onread = { buffer: READ_BUFFER, callback };
    const socket = connect({ host, port, onread });
    const request = this.#requests[this.#sockets.length % this.#requests.length]!;
    this.#sockets.push(socket);
    socket.on('error', this.#fail);
    socket.on('close', () => this.#ended());
    return new Promise((resolve) => {
      socket.on('connect', () => {
        socket.write(request);
        resolve();
      });
    });
  }

  #ended(): void {
    if (!this.#isClosing) this.#fail(new Error('a fetch ended that should still wait'));
  }
}

function requestOf({ topic, maxWaitMs }: ParkedOptions, partition: number): Buffer {
  const partitions = [{ partition, fetchOffset: 0, partitionMaxBytes: MAX_BYTES }];
  const value = { maxWaitMs, minBytes: 1, maxBytes: MAX_BYTES, topics: [{ topic, partitions }] };
  const header = { apiVersion: FETCH_VERSION, correlationId: 1, clientId: CLIENT_ID };
  return Buffer.concat(encodeRequest(FetchRequest, header, value));
}

/**
 * One connection to a broker, as lean as a client can be: requests are encoded by protocol/, sent
 * without waiting for the answers before, and answered in the order they were sent. Frames lie in a
 * buffer that the connection uses again, so an answer is to be read when it is told and not kept.
 */

import { connect, type Socket } from 'node:net';
import { Framer } from '../../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';

export const CLIENT_ID = 'tailrace-bench';
const MAX_FRAME_BYTES = 512 * 1024 * 1024;
/** Frames above this get memory of their own instead of making the connection's buffer grow. */
const MAX_REUSED_BYTES = 64 * 1024 * 1024;
/** Answered requests that may stand before those that wait. */
const COMPACT_AT = 1024;
/** All sockets are read into one buffer, one after the other, as memory for each read is dear. */
const READ_BUFFER = Buffer.allocUnsafeSlow(512 * 1024);
/** Where a request's correlation id lies: behind size, API key and version. */
const CORRELATION_ID_AT = 8;

/**
 * Takes one answer, a frame without its length; the bytes are the connection's. What it throws is
 * told as the request's failure.
 */
export type AnswerHandler = (frame: Buffer) => void;

interface Waiting {
  readonly correlationId: number;
  readonly answer: AnswerHandler;
  readonly fail: (error: Error) => void;
}

export class WireConnection {
  #socket!: Socket;
  readonly #framer: Framer;
  readonly #waiting: Waiting[] = [];
  #firstWaiting = 0;
  #correlationId = 0;
  #buffer = Buffer.alloc(0);
  #closed: Error | undefined;

  private constructor() {
    this.#framer = new Framer(MAX_FRAME_BYTES, (sizeBytes) => this.#frameMemory(sizeBytes));
  }

  static open(host: string, port: number): Promise<WireConnection> {
    return new Promise((resolve, reject) => {
      const connection = new WireConnection();
      const callback = (sizeBytes: number, buffer: Uint8Array) => {
        connection.#onData((buffer as Buffer).subarray(0, sizeBytes));
        return true;
      };
      const onread = { buffer: READ_BUFFER, callback };
      const socket = connect({ host, port, noDelay: true, onread });
      connection.#socket = socket;
      socket.once('connect', () => resolve(connection));
      socket.on('close', () => connection.#fail(new Error('the broker closed the connection')));
      socket.on('error', (error) => {
        reject(error);
        connection.#fail(error);
      });
    });
  }

  /** Bytes that the system has not taken yet. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Sends a request and gives the decoded answer. */
  call<Request extends Message, Response extends Message>(
    request: Request,
    response: Response,
    version: number,
    value: Input<Request>,
  ): Promise<Decoded<Response>> {
    return new Promise((resolve, reject) => {
      this.send(
        request,
        version,
        value,
        // What is decoded may hold slices of the frame, whose bytes change with the next one.
        (frame) => resolve(decodeResponse(Buffer.from(frame), response, version).value),
        reject,
      );
    });
  }

  /** Sends a request; `answer` is told its answer as it came. */
  send<Request extends Message>(
    request: Request,
    version: number,
    value: Input<Request>,
    answer: AnswerHandler,
    fail: (error: Error) => void,
  ): void {
    if (this.#closed !== undefined) {
      fail(this.#closed);
      return;
    }
    const correlationId = this.#nextCorrelationId();
    this.#waiting.push({ correlationId, answer, fail });
    this.#write(
      encodeRequest(
        request,
        { apiVersion: version, correlationId, clientId: CLIENT_ID },
        value as Input<Request>,
      ),
    );
  }

  /**
   * Sends a request that was encoded before, under a new correlation id. It must not be sent again
   * before it is answered.
   */
  sendEncoded(
    request: readonly Buffer[],
    answer: AnswerHandler,
    fail: (error: Error) => void,
  ): void {
    if (this.#closed !== undefined) {
      fail(this.#closed);
      return;
    }
    const correlationId = this.#nextCorrelationId();
    request[0]!.writeInt32BE(correlationId, CORRELATION_ID_AT);
    this.#waiting.push({ correlationId, answer, fail });
    this.#write(request);
  }

  /** Sends a request that was encoded before and is not answered. */
  sendEncodedUnanswered(request: readonly Buffer[]): void {
    this.#write(request);
  }

  /** Sends a request that is not answered (Produce with acks=0). */
  sendUnanswered<Request extends Message>(
    request: Request,
    version: number,
    value: Input<Request>,
  ): void {
    const header = {
      apiVersion: version,
      correlationId: this.#nextCorrelationId(),
      clientId: CLIENT_ID,
    };
    this.#write(encodeRequest(request, header, value));
  }

  /** Calls back once the system takes bytes again. */
  whenDrained(callback: () => void): void {
    if (this.#socket.writableNeedDrain) this.#socket.once('drain', callback);
    else setImmediate(callback);
  }

  close(): void {
    this.#closed ??= new Error('the connection was closed');
    this.#socket.destroy();
  }

  #nextCorrelationId(): number {
    this.#correlationId = (this.#correlationId + 1) & 0x7fff_ffff;
    return this.#correlationId;
  }

  #write(buffers: readonly Buffer[]): void {
    if (buffers.length === 1) {
      this.#socket.write(buffers[0]!);
      return;
    }
    this.#socket.cork();
    for (const buffer of buffers) this.#socket.write(buffer);
    this.#socket.uncork();
  }

  #frameMemory(sizeBytes: number): Buffer {
    if (sizeBytes > MAX_REUSED_BYTES) return Buffer.allocUnsafeSlow(sizeBytes);
    if (this.#buffer.length < sizeBytes) this.#buffer = Buffer.allocUnsafeSlow(sizeBytes);
    return this.#buffer.subarray(0, sizeBytes);
  }

  #onData(chunk: Buffer): void {
    for (const frame of this.#framer.push(chunk)) {
      const waiting = this.#shift();
      if (waiting === undefined || frame.readInt32BE(0) !== waiting.correlationId) {
        this.#fail(new Error('an answer that belongs to no request'));
        this.#socket.destroy();
        return;
      }
      // What an answer says may be a failure of the request, but not one of the process.
      try {
        waiting.answer(frame);
      } catch (error) {
        waiting.fail(error as Error);
      }
    }
  }

  #shift(): Waiting | undefined {
    const waiting = this.#waiting[this.#firstWaiting];
    if (waiting === undefined) return undefined;
    this.#firstWaiting += 1;
    if (this.#firstWaiting === this.#waiting.length || this.#firstWaiting >= COMPACT_AT) {
      this.#waiting.splice(0, this.#firstWaiting);
      this.#firstWaiting = 0;
    }
    return waiting;
  }

  #fail(error: Error): void {
    this.#closed ??= error;
    for (let waiting = this.#shift(); waiting !== undefined; waiting = this.#shift()) {
      waiting.fail(this.#closed);
    }
  }
}

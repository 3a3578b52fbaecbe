/** A client over a real socket that speaks Kafka's protocol with the declarations, and no more. */

import net from 'node:net';
import { Framer } from '../../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';

interface Waiting {
  readonly resolve: (frame: Buffer) => void;
  readonly reject: (error: Error) => void;
}

export class WireClient {
  readonly socket: net.Socket;
  private readonly framer = new Framer(2 ** 30);
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      for (const frame of this.framer.push(chunk)) {
        const id = frame.readInt32BE(0);
        this.waiting.get(id)?.resolve(frame);
        this.waiting.delete(id);
      }
    });
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        for (const { reject } of this.waiting.values()) reject(new Error('connection closed'));
        this.waiting.clear();
        resolve();
      });
    });
  }

  static connect(port: number): Promise<WireClient> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new WireClient(socket)));
    });
  }

  /** Sends a request and gives its answer. */
  async ask<Q extends Message, A extends Message>(
    request: Q,
    response: A,
    apiVersion: number,
    value: Input<Q>,
  ): Promise<Decoded<A>> {
    const frame = await this.send(request, apiVersion, value);
    return decodeResponse(frame, response, apiVersion).value;
  }

  send<Q extends Message>(request: Q, apiVersion: number, value: Input<Q>): Promise<Buffer> {
    this.lastId += 1;
    const correlationId = this.lastId;
    const answer = new Promise<Buffer>((resolve, reject) => {
      this.waiting.set(correlationId, { resolve, reject });
    });
    const header = { apiVersion, correlationId, clientId: 'wire' };
    this.socket.write(Buffer.concat(encodeRequest(request, header, value)));
    return answer;
  }

  close(): Promise<void> {
    this.socket.destroy();
    return this.closed;
  }
}

/** A simulated client: one connection at a time, requests and answers in order. */

import type { TransportConnection } from '../../broker/transport.ts';
import { Framer } from '../../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';
import { PORT, type SimWorld } from './world.ts';

/** The connection was refused, or went before the answer came. */
export class Disconnected extends Error {}

/** An answer that never comes is a fault of the broker, however long one waits. */
const HUNG_MS = 120_000;
const MAX_FRAME_BYTES = 2 ** 26;

/** An API in the one version that the simulated clients speak. */
export interface Spoken<Q extends Message, R extends Message> {
  readonly request: Q;
  readonly response: R;
  readonly version: number;
}

interface Waiting {
  readonly answered: (frame: Buffer) => void;
  readonly failed: (error: Error) => void;
}

export class SimClient {
  readonly #world: SimWorld;
  readonly #name: string;
  #connection: TransportConnection | undefined;
  #waiting: Waiting[] = [];
  #correlationId = 0;

  constructor(world: SimWorld, name: string) {
    this.#world = world;
    this.#name = name;
  }

  /** Sends a request; requests sent without waiting are answered in order. Rejects Disconnected. */
  call<Q extends Message, R extends Message>(
    { request, response, version }: Spoken<Q, R>,
    value: Input<Q>,
  ): Promise<Decoded<R>> {
    return new Promise((resolve, reject) => {
      const connection = this.#connect();
      const correlationId = this.#correlationId++;
      const header = { apiVersion: version, correlationId, clientId: this.#name };
      const buffers = encodeRequest(request, header, value);
      const hung = this.#world.clock.setTimer(HUNG_MS, () => {
        reject(new Error(`${this.#name}: no answer to ${request.name} in ${HUNG_MS} ms`));
      });
      this.#waiting.push({
        answered: (frame) => {
          hung.cancel();
          const answer = decodeResponse(frame, response, version);
          if (answer.correlationId === correlationId) resolve(answer.value);
          else reject(new Error(`${this.#name}: answers came out of order`));
        },
        failed: (error) => {
          hung.cancel();
          reject(error);
        },
      });
      connection.write(buffers, () => {});
    });
  }

  /** Lets go of the connection; what waits fails. */
  disconnect(): void {
    this.#connection?.destroy();
    this.#gone();
  }

  #connect(): TransportConnection {
    if (this.#connection !== undefined) return this.#connection;
    let connection: TransportConnection;
    try {
      connection = this.#world.network.connect(PORT);
    } catch (cause) {
      throw new Disconnected('refused', { cause });
    }
    const framer = new Framer(MAX_FRAME_BYTES);
    this.#connection = connection;
    const isCurrent = () => this.#connection === connection;
    connection.start({
      data: (chunk) => {
        if (!isCurrent()) return;
        for (const frame of framer.push(chunk)) this.#waiting.shift()?.answered(frame);
      },
      drained: () => {},
      gone: () => {
        if (isCurrent()) this.#gone();
      },
    });
    return connection;
  }

  #gone(): void {
    this.#connection = undefined;
    for (const { failed } of this.#waiting.splice(0)) failed(new Disconnected('gone'));
  }
}

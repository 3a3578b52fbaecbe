/**
 * A simulated client: one connection at a time, requests and answers in order. It gives a connection
 * up that it has waited for too long while the network was troubled, and opens another one; the
 * broker may have the first one still, and what was asked on it may come to pass.
 */

import type { TransportConnection } from '../../broker/transport.ts';
import { Framer } from '../../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import type { Decoded, Input, Message } from '../../protocol/schema.ts';
import type { Run } from './run.ts';
import { PORT } from './world.ts';

/** The connection was refused, or went before the answer came. */
export class Disconnected extends Error {}

const REFUSED = new Disconnected('refused');
const GONE = new Disconnected('gone');
/** An answer that never comes is a fault of the broker, however long one waits. */
const HUNG_MS = 120_000;
/** How long a client waits while the network is in trouble. */
const PATIENCE_MS = 8000;
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
  readonly #run: Run;
  readonly #name: string;
  #connection: TransportConnection | undefined;
  /** Count of the network's troubles when the connection was opened. */
  #troubles = 0;
  #waiting: Waiting[] = [];
  #correlationId = 0;

  constructor(run: Run, name: string) {
    this.#run = run;
    this.#name = name;
    run.add(this);
  }

  /** Sends a request; requests sent without waiting are answered in order. Rejects Disconnected. */
  call<Q extends Message, R extends Message>(
    { request, response, version }: Spoken<Q, R>,
    value: Input<Q>,
  ): Promise<Decoded<R>> {
    const { history } = this.#run;
    return new Promise((resolve, reject) => {
      const connection = this.#connect();
      const correlationId = this.#correlationId++;
      const header = { apiVersion: version, correlationId, clientId: this.#name };
      const buffers = encodeRequest(request, header, value);
      const end = this.#patience(request.name);
      this.#waiting.push({
        answered: (frame) => {
          end();
          const answer = decodeResponse(frame, response, version);
          if (answer.correlationId !== correlationId) {
            history.violate('answer', this.#name, 'answers came out of order');
          }
          resolve(answer.value);
        },
        failed: (error) => {
          end();
          reject(error);
        },
      });
      connection.write(buffers, () => {});
    });
  }

  /** Gives the connection up when no answer comes; gives what ends the waiting. */
  #patience(what: string): () => void {
    const { world, history } = this.#run;
    const connection = this.#connection;
    const giveUp = (waitedMs: number) => {
      if (this.#connection !== connection) return;
      if (waitedMs >= HUNG_MS) {
        history.violate('answer', this.#name, `no answer to ${what} in ${HUNG_MS} ms`);
      } else if (world.network.troubles === this.#troubles) {
        const restMs = HUNG_MS - waitedMs;
        timer = world.clock.setTimer(restMs, () => giveUp(HUNG_MS));
        return;
      }
      history.note(this.#name, `gave up waiting for ${what}`);
      this.disconnect();
    };
    let timer = world.clock.setTimer(PATIENCE_MS, () => giveUp(PATIENCE_MS));
    return () => timer.cancel();
  }

  /** Lets go of the connection; what waits fails. */
  disconnect(): void {
    this.#connection?.destroy();
    this.#gone();
  }

  #connect(): TransportConnection {
    if (this.#connection !== undefined) return this.#connection;
    const { network } = this.#run.world;
    if (!network.isListening(PORT)) throw REFUSED;
    const connection = network.connect(PORT);
    const framer = new Framer(MAX_FRAME_BYTES);
    this.#connection = connection;
    this.#troubles = network.troubles;
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
    this.#run.watchers.forget(({ reader }) => reader === this.#name);
    for (const { failed } of this.#waiting.splice(0)) failed(GONE);
  }
}

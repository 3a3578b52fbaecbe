/**
 * One connection to a broker: requests of Kafka's protocol and their answers, in order. Each frame
 * has memory of its own, as records stay slices of it. What goes wrong with the connection is told
 * to all that wait on it as `Disconnected`, and to all that ask after that.
 */

import { connect, type Socket } from 'node:net';
import { Framer } from '../protocol/frame.ts';
import { decodeResponse, encodeRequest } from '../protocol/header.ts';
import { ApiVersionsRequest, ApiVersionsResponse } from '../protocol/messages/api-versions.ts';
import { FetchRequest } from '../protocol/messages/fetch.ts';
import type { Decoded, Input, Message } from '../protocol/schema.ts';
import { ReadError } from './errors.ts';
import type { Address, Settings } from './options.ts';

/** The first version with tagged fields. */
const API_VERSIONS_VERSION = 3;
/** The first version that names topics by id, so that one made anew is not taken for the old. */
export const FETCH_VERSION = 13;
/** The form of locations that this reader knows. */
const LOCATION_FORM = 1;
/** The records of an answer, and what stands around them. */
const MAX_FRAME_BYTES = 1024 * 1024 * 1024;
/** Beyond what a request itself lets the broker wait. */
const ANSWER_LIMIT_MS = 30_000;
const CONNECT_LIMIT_MS = 10_000;
/** Of the package; the broker shows it beside the connection. */
const SOFTWARE_NAME = 'tailrace-reader';
const SOFTWARE_VERSION = '1';

/** The connection is gone, or was never there. */
export class Disconnected extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'Disconnected';
  }
}

interface Waiting {
  readonly correlationId: number;
  readonly answer: (frame: Buffer) => void;
  readonly fail: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class BrokerConnection {
  readonly #socket: Socket;
  readonly #clientId: string;
  readonly #framer = new Framer(MAX_FRAME_BYTES);
  readonly #waiting: Waiting[] = [];
  #correlationId = 0;
  #closed: Disconnected | undefined;
  /** The broker answers with locations when it is asked for them. */
  givesLocations = false;

  private constructor(socket: Socket, clientId: string) {
    this.#socket = socket;
    this.#clientId = clientId;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', (error) => this.#end(new Disconnected(error.message, error)));
    socket.on('close', () => this.#end(new Disconnected('the broker closed the connection')));
  }

  /** Connects to the first broker of the list that answers, and learns what it can do. */
  static async open(settings: Settings): Promise<BrokerConnection> {
    let failure: unknown;
    for (const address of settings.bootstrap) {
      try {
        const socket = await openSocket(address, settings.signal);
        const connection = new BrokerConnection(socket, settings.clientId);
        await connection.#introduce();
        return connection;
      } catch (error) {
        failure = error;
        if (!(error instanceof Disconnected) || settings.signal?.aborted === true) break;
      }
    }
    throw failure;
  }

  get isClosed(): boolean {
    return this.#closed !== undefined;
  }

  /** Sends a request and gives its answer; `waitMs`: how long it lets the broker wait. */
  call<Q extends Message, A extends Message>(
    request: Q,
    response: A,
    version: number,
    value: Input<Q>,
    waitMs = 0,
  ): Promise<Decoded<A>> {
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      this.#correlationId = (this.#correlationId + 1) & 0x7fff_ffff;
      const correlationId = this.#correlationId;
      const answer = (frame: Buffer) => resolve(decodeResponse(frame, response, version).value);
      const timer = setTimeout(() => {
        this.#end(new Disconnected(`no answer to ${request.name} in time`));
      }, waitMs + ANSWER_LIMIT_MS);
      this.#waiting.push({ correlationId, answer, fail: reject, timer });
      const header = { apiVersion: version, correlationId, clientId: this.#clientId };
      this.#socket.cork();
      for (const buffer of encodeRequest(request, header, value)) this.#socket.write(buffer);
      this.#socket.uncork();
    });
  }

  close(): void {
    this.#end(new Disconnected('the reading has ended'));
  }

  async #introduce(): Promise<void> {
    const { errorCode, apiKeys, locations } = await this.call(
      ApiVersionsRequest,
      ApiVersionsResponse,
      API_VERSIONS_VERSION,
      {
        clientSoftwareName: SOFTWARE_NAME,
        clientSoftwareVersion: SOFTWARE_VERSION,
        locations: true,
      },
    );
    const fetch = apiKeys.find(({ apiKey }) => apiKey === FetchRequest.key);
    const fits = fetch !== undefined && fetch.maxVersion >= FETCH_VERSION;
    if (errorCode !== 0 || !fits || fetch.minVersion > FETCH_VERSION) {
      this.close();
      throw new ReadError('REFUSED', `the broker does not serve Fetch version ${FETCH_VERSION}`);
    }
    this.givesLocations = locations.form === LOCATION_FORM;
  }

  #take(chunk: Buffer): void {
    try {
      for (const frame of this.#framer.push(chunk)) {
        const waiting = this.#waiting.shift();
        if (waiting === undefined || frame.readInt32BE(0) !== waiting.correlationId) {
          throw new Error('an answer that belongs to no request');
        }
        clearTimeout(waiting.timer);
        try {
          waiting.answer(frame);
        } catch (error) {
          waiting.fail(error as Error);
          throw error;
        }
      }
    } catch (error) {
      this.#end(new Disconnected((error as Error).message, error));
    }
  }

  #end(reason: Disconnected): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#socket.destroy();
    for (const { fail, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer);
      fail(reason);
    }
  }
}

function openSocket({ host, port }: Address, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const timer = setTimeout(() => fail(new Error('no connection in time')), CONNECT_LIMIT_MS);
    const stop = () => fail(new Error('the reading was ended'));
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
      socket.off('error', fail);
    };
    const fail = (error: Error) => {
      settle();
      // What comes after that is of no interest.
      socket.on('error', () => {});
      socket.destroy();
      reject(new Disconnected(`${host}:${port}: ${error.message}`, error));
    };
    signal?.addEventListener('abort', stop, { once: true });
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}

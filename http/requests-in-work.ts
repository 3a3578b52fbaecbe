/**
 * The requests that are in work: how many a connection may have, when all have been answered, and
 * that each learns when its connection goes.
 */

import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Requests of one connection that may be in work, when they come without waiting for answers. */
const MOST_PIPELINED = 16;

export class RequestsInWork {
  readonly #ofSocket = new WeakMap<Socket, Set<ServerResponse>>();
  #count = 0;
  #allDone: (() => void) | undefined;

  /**
   * Who sends on and on without waiting for answers is cut off: queued answers would keep his socket
   * from being read, and so from being known to be closed.
   */
  watch(app: FastifyInstance): void {
    app.addHook('onRequest', (request, { raw }, done) => {
      const { socket } = request.raw;
      const answers = this.#answersOf(socket);
      answers.add(raw);
      this.#count++;
      raw.once('close', () => {
        answers.delete(raw);
        this.#count--;
        if (this.#count === 0) this.#allDone?.();
      });
      if (answers.size <= MOST_PIPELINED) done();
      else socket.destroy();
    });
  }

  /** Resolves when all have been answered, or after so long. */
  ended(graceMs: number): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      this.#allDone = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The answers of a connection that have not been closed. */
  #answersOf(socket: Socket): Set<ServerResponse> {
    const known = this.#ofSocket.get(socket);
    if (known !== undefined) return known;
    const answers = new Set<ServerResponse>();
    this.#ofSocket.set(socket, answers);
    // Node 20 tells it only to the answer whose turn it is, and not to those that wait behind it.
    socket.once('close', () => {
      for (const raw of [...answers]) {
        raw.destroy();
        raw.emit('close');
      }
    });
    return answers;
  }
}

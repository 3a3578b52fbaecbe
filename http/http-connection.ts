/** A request over HTTP as the broker's own code sees it: who asks, and whether he is still there. */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ClientConnection, RequestContext } from '../broker/api.ts';
import type { Services } from '../broker/services.ts';

/** As Fetch is known in logs; what comes by HTTP is one. */
const FETCH_API_KEY = 1;

/** Below zero, so that none is that of a Kafka connection. */
let lastId = 0;

/** One exchange: `closed` once the answer has been sent, or the client has gone. */
class HttpConnection implements ClientConnection {
  readonly id = --lastId;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly advertised: { readonly host: string; readonly port: number };
  clientSoftwareName = '';
  clientSoftwareVersion = '';
  readonly #listeners = new Set<() => void>();
  #isClosed = false;

  constructor(request: FastifyRequest, reply: FastifyReply) {
    const { socket } = request.raw;
    this.remoteAddress = socket.remoteAddress ?? '';
    this.remotePort = socket.remotePort ?? 0;
    this.advertised = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 };
    if (socket.destroyed) this.#close();
    else reply.raw.once('close', () => this.#close());
  }

  get closed(): boolean {
    return this.#isClosed;
  }

  onClose(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #close(): void {
    this.#isClosed = true;
    for (const listener of [...this.#listeners]) listener();
    this.#listeners.clear();
  }
}

export function contextOf(
  services: Services,
  request: FastifyRequest,
  reply: FastifyReply,
): RequestContext {
  return {
    services,
    connection: new HttpConnection(request, reply),
    apiKey: FETCH_API_KEY,
    apiVersion: 0,
    correlationId: 0,
    clientId: request.headers['user-agent'] ?? '',
    // What is given out is given back by whoever sends it.
    onSent: () => {},
  };
}

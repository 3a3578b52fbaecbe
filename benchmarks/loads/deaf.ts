/** Consumers that ask for all there is, several times over, and then take nothing of the answers. */

import { encodeRequest } from '../../protocol/header.ts';
import { FetchRequest } from '../../protocol/messages/fetch.ts';
import { CLIENT_ID } from '../client/connection.ts';
import { LeanSockets } from './lean-sockets.ts';
import { type Load, type LoadCounts, type LoadOrder, NOTHING } from './load.ts';

const FETCH_VERSION = 12;
const MAX_BYTES = 50 * 1024 * 1024;
const FETCHES = 8;

export class Deaf implements Load {
  readonly #order: LoadOrder;
  readonly #sockets: LeanSockets;

  constructor(order: LoadOrder) {
    this.#order = order;
    const { host, port } = order;
    const request = requestFor(order);
    this.#sockets = new LeanSockets({
      host,
      port,
      begin: (socket) => {
        for (let sent = 0; sent < FETCHES; sent += 1) socket.write(request);
      },
    });
  }

  start(): Promise<void> {
    return this.#sockets.open(this.#order.connections);
  }

  stop(): LoadCounts {
    const counts = { ...NOTHING, closed: this.#sockets.closed };
    this.#sockets.close();
    return counts;
  }
}

function requestFor({ topic, partitions }: LoadOrder): Buffer {
  const asked = Array.from({ length: partitions }, (_, partition) => ({
    partition,
    fetchOffset: 0,
    partitionMaxBytes: MAX_BYTES,
  }));
  const value = {
    maxWaitMs: 1000,
    minBytes: 1,
    maxBytes: MAX_BYTES,
    topics: [{ topic, partitions: asked }],
  };
  const header = { apiVersion: FETCH_VERSION, correlationId: 1, clientId: CLIENT_ID };
  return Buffer.concat(encodeRequest(FetchRequest, header, value));
}

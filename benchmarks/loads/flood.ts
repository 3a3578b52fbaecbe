/**
 * Producers that offer bytes at a rate, whatever the broker takes: on many connections, with many
 * requests in flight on each, acks=all. What is due when all connections have their fill is offered
 * and not sent, as by a client whose buffer is full.
 */

import { makeBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { PreparedProduce } from '../client/producer.ts';
import type { Load, LoadCounts, LoadOrder } from './load.ts';
import { NOTHING } from './load.ts';

const CONNECTIONS = 64;
const IN_FLIGHT = 32;
const RECORD_BYTES = 1024;
const RECORDS = 128;
const TICK_MS = 5;

interface Producer {
  readonly connection: WireConnection;
  readonly requests: PreparedProduce;
  inFlight: number;
}

export class Flood implements Load {
  readonly #order: LoadOrder;
  readonly #batch = makeBatch({ recordBytes: RECORD_BYTES, recordCount: RECORDS, codec: 'none' });
  #producers: Producer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #beganMs = 0;
  #dueBatches = 0;
  #turn = 0;
  #taken = 0;
  #refused = 0;
  #closed = 0;

  constructor(order: LoadOrder) {
    this.#order = order;
  }

  async start(): Promise<void> {
    const { host, port } = this.#order;
    const opening = Array.from({ length: CONNECTIONS }, () => WireConnection.open(host, port));
    const connections = await Promise.all(opening);
    this.#producers = connections.map((connection, at) => ({
      connection,
      requests: this.#requests(at),
      inFlight: 0,
    }));
    this.#beganMs = performance.now();
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  stop(): LoadCounts {
    clearInterval(this.#timer);
    const counts = {
      ...NOTHING,
      offeredBytes: this.#dueBatches * this.#batch.length,
      takenBytes: this.#taken * this.#batch.length,
      answers: this.#taken,
      refused: this.#refused,
      closed: this.#closed,
    };
    for (const { connection } of this.#producers) connection.close();
    return counts;
  }

  /** As many as may be in flight: each of them is sent again only when it is answered. */
  #requests(first: number): PreparedProduce {
    const { topic, partitions } = this.#order;
    const requests = Array.from({ length: IN_FLIGHT }, (_, at) => [
      { index: (first + at) % partitions, records: this.#batch },
    ]);
    return new PreparedProduce(topic, -1, requests);
  }

  #send(): void {
    const seconds = (performance.now() - this.#beganMs) / 1000;
    const due = Math.floor((seconds * this.#order.bytesPerSecond) / this.#batch.length);
    while (this.#dueBatches < due) {
      const producer = this.#free();
      if (producer === undefined) break;
      this.#dueBatches += 1;
      producer.inFlight += 1;
      const answered = () => {
        producer.inFlight -= 1;
        this.#taken += 1;
      };
      producer.requests.send(producer.connection, answered, (error) => {
        producer.inFlight -= 1;
        if (/closed/.test(error.message)) this.#closed += 1;
        else this.#refused += 1;
      });
    }
    this.#dueBatches = due;
  }

  /** The next in turn that may send; they offer alike. */
  #free(): Producer | undefined {
    for (let tried = 0; tried < this.#producers.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#producers.length;
      const producer = this.#producers[this.#turn]!;
      if (producer.inFlight < IN_FLIGHT) return producer;
    }
    return undefined;
  }
}

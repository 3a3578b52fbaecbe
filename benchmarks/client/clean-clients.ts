/**
 * Clients that do nothing wrong and are timed while others do: producers of small records, few a
 * second, acks=all, and a consumer that waits for them.
 */

import { type Figures, Latencies, lower } from '../scenario.ts';
import { sentAt, timedBatch } from './batches.ts';
import { WireConnection } from './connection.ts';
import { produce } from './producer.ts';
import { read } from './reader.ts';

export const CLEAN_PARTITIONS = 4;
const PER_SECOND = 100;
const RECORD_BYTES = 200;
const MAX_WAIT_MS = 500;
const MAX_BYTES = 1024 * 1024;
const TICK_MS = 1;

/** Latencies of some time: what was sent in it, told when it is answered. */
export class CleanPeriod {
  readonly acknowledged = new Latencies();
  readonly delivered = new Latencies();
  readonly beganMs = performance.now();
  sent = 0;
  refused = 0;

  figures(when: string): Figures {
    const figures: Figures = {};
    for (const [what, latencies] of [
      ['acks=all', this.acknowledged],
      ['end to end', this.delivered],
    ] as const) {
      const { p50, p99, max } = latencies.figures();
      figures[`${what} ${when}, p50`] = p50!;
      figures[`${what} ${when}, p99`] = p99!;
      figures[`${what} ${when}, max`] = max!;
    }
    figures[`clean requests refused ${when}`] = lower(this.refused, '');
    return figures;
  }
}

export class CleanClients {
  readonly #producers: readonly WireConnection[];
  readonly #consumer: WireConnection;
  readonly #topic: string;
  readonly #reading: Promise<void>;
  readonly #timer: NodeJS.Timeout;
  #period = new CleanPeriod();
  #periods: CleanPeriod[] = [this.#period];
  #unanswered = 0;
  #turn = 0;
  #isOver = false;
  #beganMs = performance.now();

  private constructor(topic: string, producers: WireConnection[], consumer: WireConnection) {
    this.#topic = topic;
    this.#producers = producers;
    this.#consumer = consumer;
    this.#reading = this.#read();
    this.#timer = setInterval(() => this.#send(), TICK_MS);
  }

  /** The topic has CLEAN_PARTITIONS partitions and is empty. */
  static async start(host: string, port: number, topic: string): Promise<CleanClients> {
    const opening = Array.from({ length: CLEAN_PARTITIONS + 1 }, () =>
      WireConnection.open(host, port),
    );
    const [consumer, ...producers] = await Promise.all(opening);
    return new CleanClients(topic, producers, consumer!);
  }

  /** What is sent from now on counts to a new period. */
  begin(): CleanPeriod {
    this.#period = new CleanPeriod();
    this.#periods.push(this.#period);
    return this.#period;
  }

  /** Resolves when everything that was sent is answered. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    while (this.#unanswered > 0) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    this.#isOver = true;
    await this.#reading;
    for (const connection of [this.#consumer, ...this.#producers]) connection.close();
  }

  #send(): void {
    const due = Math.floor(((performance.now() - this.#beganMs) / 1000) * PER_SECOND);
    while (this.#turn < due) this.#sendOne();
  }

  #sendOne(): void {
    const period = this.#period;
    const index = this.#turn % CLEAN_PARTITIONS;
    this.#turn += 1;
    this.#unanswered += 1;
    const sentMs = performance.now();
    period.sent += 1;
    const acknowledged = () => {
      this.#unanswered -= 1;
      period.acknowledged.add(performance.now() - sentMs);
    };
    const batches = [{ index, records: timedBatch(RECORD_BYTES) }];
    produce(this.#producers[index]!, this.#topic, -1, batches, acknowledged, () => {
      this.#unanswered -= 1;
      period.refused += 1;
    });
  }

  #read(): Promise<void> {
    return read(this.#consumer, {
      topic: this.#topic,
      from: new Map(Array.from({ length: CLEAN_PARTITIONS }, (_, index) => [index, 0])),
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      onBatch: (buffer, at) => this.#delivered(sentAt(buffer, at)),
      goOn: () => !this.#isOver,
    });
  }

  #delivered(sentMs: number): void {
    const period = this.#periods.findLast(({ beganMs }) => beganMs <= sentMs);
    period?.delivered.add(performance.now() - sentMs);
  }
}

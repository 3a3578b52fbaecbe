/** From the real send of a record until consumers that were waiting for it have it. */

import { sentAt, timedBatch } from '../client/batches.ts';
import { WireConnection } from '../client/connection.ts';
import { type Acks, produce } from '../client/producer.ts';
import { read } from '../client/reader.ts';
import { createTopic, deleteTopic } from '../client/topics.ts';
import { pace } from '../pace.ts';
import {
  type Figures,
  freshTopic,
  Latencies,
  Meter,
  type Scenario,
  type Target,
  throughputFigures,
} from '../scenario.ts';

const WARM_UP_SECONDS = 1;
const MAX_WAIT_MS = 500;
const MAX_BYTES = 1024 * 1024;

export interface DeliveryShape {
  readonly perSecond: number;
  readonly recordBytes: number;
  readonly acks: Acks;
  readonly consumers: number;
  /** Records of one batch: so many are due at each turn of the sender. */
  readonly recordCount: number;
}

function scenario(name: string, about: string, shape: DeliveryShape): Scenario {
  return { name, about, run: (target, { seconds }) => measureDelivery(target, seconds, shape) };
}

const one = { recordBytes: 1024, acks: 1, consumers: 1, recordCount: 1 } as const;

export const endToEnd: readonly Scenario[] = [
  scenario('end-to-end-1k', '1 000 records of 1 KiB a second to one waiting consumer', {
    ...one,
    perSecond: 1_000,
  }),
  scenario('end-to-end-10k', '10 000 records of 1 KiB a second to one waiting consumer', {
    ...one,
    perSecond: 10_000,
  }),
  scenario('end-to-end-1k-acksall', 'as end-to-end-1k, produced with acks=all', {
    ...one,
    perSecond: 1_000,
    acks: -1,
  }),
  scenario('end-to-end-20k-acksall', '20 000 records of 1 KiB a second, 20 a batch, acks=all', {
    ...one,
    perSecond: 20_000,
    acks: -1,
    recordCount: 20,
  }),
  scenario('fan-out-8', '500 records of 16 KiB a second to each of 8 waiting consumers', {
    perSecond: 500,
    ...one,
    recordBytes: 16 * 1024,
    consumers: 8,
  }),
  scenario('fan-out-64', '100 records of 16 KiB a second to each of 64 waiting consumers', {
    perSecond: 100,
    ...one,
    recordBytes: 16 * 1024,
    consumers: 64,
  }),
];

/** How long records take to all who wait for them, on a topic of their own. */
export async function measureDelivery(
  target: Target,
  measuredSeconds: number,
  shape: DeliveryShape,
): Promise<Figures> {
  const producer = await WireConnection.open(target.host, target.port);
  const consumers = await Promise.all(
    Array.from({ length: shape.consumers }, () => WireConnection.open(target.host, target.port)),
  );
  const topic = freshTopic('end-to-end');
  await createTopic(producer, topic, 1);
  const delivery = new Delivery(shape.consumers);
  const reading = Promise.all(consumers.map((consumer) => delivery.readTo(consumer, topic)));
  try {
    const during = async (seconds: number) => {
      delivery.latencies = new Latencies();
      delivery.bytes = 0;
      const answers: Promise<void>[] = [];
      await pace(shape.perSecond / shape.recordCount, seconds, () => {
        delivery.expected += shape.consumers;
        answers.push(sendOne(producer, topic, shape));
      });
      await Promise.all(answers);
      await Promise.race([delivery.complete(), reading]);
    };
    await during(WARM_UP_SECONDS);
    const meter = new Meter(target);
    await during(measuredSeconds);
    const usage = meter.read();
    delivery.stopped = true;
    await reading;
    return {
      ...delivery.latencies.figures(),
      ...throughputFigures(delivery.bytes, usage),
    };
  } finally {
    delivery.stopped = true;
    await deleteTopic(producer, topic);
    for (const connection of [producer, ...consumers]) connection.close();
  }
}

/** What the consumers got of what was sent. */
class Delivery {
  latencies = new Latencies();
  bytes = 0;
  expected = 0;
  stopped = false;
  #delivered = 0;
  #whenComplete: (() => void) | undefined;
  readonly consumers: number;

  constructor(consumers: number) {
    this.consumers = consumers;
  }

  readTo(connection: WireConnection, topic: string): Promise<void> {
    return read(connection, {
      topic,
      from: new Map([[0, 0]]),
      maxWaitMs: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: MAX_BYTES,
      onBatch: (buffer, at) => {
        this.latencies.add(performance.now() - sentAt(buffer, at));
        this.bytes += buffer.readInt32BE(at + 8);
        this.#delivered += 1;
        if (this.#delivered === this.expected) this.#whenComplete?.();
      },
      goOn: () => !this.stopped,
    });
  }

  /** Resolves when everybody has everything that was sent. */
  complete(): Promise<void> {
    if (this.#delivered === this.expected) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenComplete = resolve;
    });
  }
}

function sendOne(connection: WireConnection, topic: string, shape: DeliveryShape): Promise<void> {
  return new Promise((resolve, reject) => {
    const batches = [{ index: 0, records: timedBatch(shape.recordBytes, shape.recordCount) }];
    produce(connection, topic, shape.acks, batches, resolve, reject);
  });
}

/**
 * Groups of clients of other languages: members join, leave and die while records come, one client
 * at a time and all of them in one group; nothing is left out, and each partition has one owner.
 *
 * With TAILRACE_TEST_PEER=kafka the broker is Apache Kafka, where this was proved.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Producer } from 'kafkajs';
import t, { type Test } from 'tap';
import { newTopic, numbered, producerOf, readAll } from '../clients/kafkajs-client.ts';
import { kafkaFor, startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { CLIENTS, type Client, type Job, Program } from './foreign/driver.ts';

t.setTimeout(300_000);

const PARTITIONS = 6;
/** Between two writes. */
const PAUSE_MS = 100;

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
const bootstrap = broker.address;

t.before(async () => {
  // Apache Kafka makes its topic of offsets at the first group, and knows no coordinator before.
  const topic = await newTopic(broker);
  await (await producerOf(t, kafka)).send({ topic, messages: numbered(1) });
  await readAll(t, kafka, topic, 1);
});

/** Writes numbers into all partitions, a few at a time, until it is stopped. */
class Source {
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  written = 0;

  constructor(producer: Producer, topic: string) {
    this.#done = this.#run(producer, topic);
  }

  async #run(producer: Producer, topic: string): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const messages = Array.from({ length: PARTITIONS }, (_, partition) => ({
        partition,
        value: String(this.written + partition),
      }));
      await producer.send({ topic, messages });
      this.written += PARTITIONS;
      // What it throws at the end is no failure.
      await delay(PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }
}

/** Members of one group with what they all have seen. */
class Members {
  readonly all: Program[] = [];
  readonly #job: Job;

  constructor(job: Job) {
    this.#job = job;
  }

  async join(client: Client): Promise<Program> {
    const member = new Program(client, 'member', this.#job, true);
    this.all.push(member);
    return member;
  }

  /** Waits until each of some members has something, together they have all, and none has the same. */
  async untilShared(members: readonly Program[]): Promise<void> {
    const isShared = (): boolean => {
      const owned = members.flatMap(({ partitions }) => partitions).sort();
      const isEach = members.every(({ partitions }) => partitions.length > 0);
      return isEach && owned.length === PARTITIONS && new Set(owned).size === PARTITIONS;
    };
    await Promise.any(
      members.map((member) => member.until('the partitions were shared', isShared)),
    );
  }

  /** The numbers that any member has consumed. */
  get seen(): Set<number> {
    return new Set(this.all.flatMap(({ records }) => records.map(({ value }) => Number(value))));
  }
}

async function committedOffsets(group: string, topic: string): Promise<number> {
  const admin = kafka.admin();
  await admin.connect();
  const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
  await admin.disconnect();
  return offsets!.partitions.reduce((sum, { offset }) => sum + Number(offset), 0);
}

async function start(t: Test, assignor: 'range' | 'cooperative') {
  const topic = await newTopic(broker, PARTITIONS);
  const group = uniqueName('group');
  const source = new Source(await producerOf(t, kafka), topic);
  const members = new Members({ bootstrap, topic, group, assignor });
  t.teardown(async () => {
    await source.stop();
    for (const member of members.all) await member.kill();
  });
  return { topic, group, source, members };
}

/** A member joins, one dies, one comes in its place, and one leaves. */
async function live(
  t: Test,
  clients: readonly [Client, Client, Client],
  assignor: 'range' | 'cooperative',
) {
  const { topic, group, source, members } = await start(t, assignor);
  const first = await members.join(clients[0]);
  await members.untilShared([first]);
  const second = await members.join(clients[1]);
  await members.untilShared([first, second]);
  await first.kill();
  await members.untilShared([second]);
  const third = await members.join(clients[2]);
  await members.untilShared([second, third]);
  await second.leave();
  await members.untilShared([third]);
  await source.stop();
  await third.until('all was consumed', () => members.seen.size === source.written);
  await third.leave();
  t.equal(members.seen.size, source.written, 'nothing is left out');
  t.equal(await committedOffsets(group, topic), source.written, 'and all is committed');
}

for (const assignor of ['range', 'cooperative'] as const) {
  t.test(`members of one client come, go and die, ${assignor}`, async (t) => {
    t.jobs = CLIENTS.length;
    for (const client of CLIENTS) {
      t.test(client.name, (t) => live(t, [client, client, client], assignor));
    }
  });
}

t.test('members of all clients in one group', async (t) => {
  const { topic, group, source, members } = await start(t, 'range');
  const joined: Program[] = [];
  for (const client of CLIENTS) {
    joined.push(await members.join(client));
    await members.untilShared(joined);
  }
  const [oldest, ...others] = joined;
  await oldest!.leave();
  await members.untilShared(others);
  const [killed, ...last] = others;
  await killed!.kill();
  await members.untilShared(last);
  await source.stop();
  await last[0]!
    .until('all was consumed', () => members.seen.size === source.written)
    .catch(() => {});
  for (const member of last) await member.leave();
  t.equal(members.seen.size, source.written, 'nothing is left out');
  t.equal(await committedOffsets(group, topic), source.written, 'and all is committed');
});

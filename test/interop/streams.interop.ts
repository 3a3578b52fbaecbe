/**
 * Kafka Streams counts words with exactly_once_v2, and is killed with SIGKILL in the middle of its
 * work again and again. Each word must have been counted 1, 2, 3, ... to the end: none left out, none
 * twice.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fse from 'fs-extra';
import type { Kafka } from 'kafkajs';
import t from 'tap';
import { kafkaFor, startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { JavaProcess } from './java.ts';

const WORDS = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];
const PARTITIONS = 2;
const ROUNDS = 4;
const LINES_PER_ROUND = 400;

t.setTimeout(600_000);
const broker = await startTestBroker(t, {
  'group.min.session.timeout.ms': '1000',
  'offsets.topic.num.partitions': '2',
  'transaction.state.log.num.partitions': '2',
});
const kafka = kafkaFor(broker);
const stateDir = await fse.mkdtemp(join(tmpdir(), 'tailrace-streams-'));
t.teardown(() => fse.remove(stateDir));

/** Counts of each word in the order in which they were written, as committed data. */
class Counts {
  readonly of = new Map<string, number[]>();
  total = 0;

  static async follow(kafka: Kafka, topic: string): Promise<Counts> {
    const counts = new Counts();
    const consumer = kafka.consumer({ groupId: uniqueName('counts') });
    await consumer.connect();
    t.teardown(() => consumer.disconnect());
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message }) => counts.#take(`${message.key}`, Number(message.value)),
    });
    return counts;
  }

  #take(word: string, count: number): void {
    this.of.set(word, [...(this.of.get(word) ?? []), count]);
    this.total += 1;
  }

  /** Resolves when so many have come, of who is still counting. */
  until(total: number, run: JavaProcess): Promise<void> {
    return run.until(() => this.total >= total);
  }
}

t.test('words are counted exactly once over kills', async (t) => {
  const [from, to] = [uniqueName('lines'), uniqueName('counts')];
  const admin = kafka.admin();
  await admin.connect();
  const topics = [from, to].map((topic) => ({ topic, numPartitions: PARTITIONS }));
  await admin.createTopics({ topics });
  await admin.disconnect();
  const counts = await Counts.follow(kafka, to);
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();

  const application = uniqueName('word-count');
  const start = () =>
    new JavaProcess('tailrace.interop.WordCount', [
      broker.address,
      application,
      from,
      to,
      stateDir,
    ]);
  const wordsPerRound = LINES_PER_ROUND * WORDS.length;
  let run = start();
  for (let round = 0; round < ROUNDS; round++) {
    const messages = Array.from({ length: LINES_PER_ROUND }, (_, at) => ({
      partition: at % PARTITIONS,
      value: WORDS.join(' '),
    }));
    for (let at = 0; at < messages.length; at += 20) {
      await producer.send({ topic: from, acks: -1, messages: messages.slice(at, at + 20) });
    }
    // Some of the round is committed, and some is on its way.
    await counts.until(round * wordsPerRound + wordsPerRound / 4, run);
    if (round === ROUNDS - 1) break;
    run.kill('SIGKILL');
    t.equal((await run.ended()).exitCode, null, 'killed');
    run = start();
  }
  await producer.disconnect();
  await counts.until(ROUNDS * wordsPerRound, run);
  run.kill('SIGTERM');
  const ended = await run.ended();
  t.match(ended.out, 'state NOT_RUNNING', 'an orderly end');
  const wanted = Array.from({ length: ROUNDS * LINES_PER_ROUND }, (_, at) => at + 1);
  for (const word of WORDS) t.same(counts.of.get(word), wanted, word);
  t.ok((await fse.readdir(join(stateDir, application))).length > 1, 'with state on disk');
});

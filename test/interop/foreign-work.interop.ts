/**
 * Transactions and administration with clients of other languages: topics copied exactly once with
 * their offsets while each third transaction is aborted, a producer that is fenced, and the life of
 * a topic and of a group.
 *
 * With TAILRACE_TEST_PEER=kafka the broker is Apache Kafka, where this was proved.
 */

import t from 'tap';
import { newTopic, producerOf } from '../clients/kafkajs-client.ts';
import { kafkaFor, startTestBroker, uniqueName } from '../clients/test-broker.ts';
import { CLIENTS, doJob } from './foreign/driver.ts';
import { consumeWithKcat } from './foreign/kcat.ts';
import { readServed } from './served.ts';

t.setTimeout(300_000);
t.jobs = CLIENTS.length;

const RECORDS = 400;

const broker = await startTestBroker(t);
const kafka = kafkaFor(broker);
const bootstrap = broker.address;

for (const client of CLIENTS) {
  t.test(`${client.name}: a topic is copied exactly once in transactions`, async (t) => {
    const [topic, output] = [await newTopic(broker), await newTopic(broker)];
    const group = uniqueName('group');
    const producer = await producerOf(t, kafka);
    const messages = Array.from({ length: RECORDS }, (_, number) => ({
      key: `key ${number}`,
      value: `${number} `.repeat(20),
    }));
    await producer.send({ topic, messages });

    const transactionalId = uniqueName('copier');
    const job = { bootstrap, topic, output, group, transactionalId, count: RECORDS };
    const { told } = await doJob(client, 'transact', job);
    const [{ committed, aborted, fenced } = {}] = told;
    t.equal(committed, RECORDS);
    t.ok(Number(aborted) > 0, 'some were aborted');
    t.match(String(fenced), /fenced|newer producer|code = 90$/i);

    const expected = messages.map(({ key, value }) => [key, value]);
    const copies = await consumeWithKcat(bootstrap, uniqueName('kcat'), [output]);
    t.same(
      copies.map(({ key, value }) => [key, value]),
      expected,
      'committed copies, as librdkafka reads them',
    );
    const served = await readServed(broker, output);
    t.ok(served.aborted.length > 0, 'readers are told what was aborted');
    t.ok(served.records.filter(({ isControl }) => !isControl).length > RECORDS, 'and it is there');

    const admin = kafka.admin();
    await admin.connect();
    const [offsets] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
    await admin.disconnect();
    t.match(offsets, { partitions: [{ partition: 0, offset: String(RECORDS) }] });
  });

  t.test(`${client.name}: the life of a topic and of a group`, async (t) => {
    const job = { bootstrap, topic: uniqueName('topic'), group: uniqueName('group') };
    const { told } = await doJob(client, 'admin', job);
    t.same(told, [
      {
        brokers: 1,
        createdAgain: 'TOPIC_ALREADY_EXISTS',
        partitions: 3,
        retentionMs: '60000',
        retentionMsChanged: '120000',
        partitionsGrown: 5,
        offsets: [0, 10],
        offsetsTrimmed: [4, 10],
        groupOffset: 7,
        groupListed: true,
        groupState: 'Empty',
        groupGone: true,
        topicGone: true,
      },
    ]);
  });
}

/** Groups of kafkajs consumers: sharing partitions, losing members, and the broker's restarts. */

import type { Consumer, EachMessagePayload, Kafka } from 'kafkajs';
import t, { type Test } from 'tap';
import { Changes } from './changes.ts';
import { DoomedMember } from './doomed.ts';
import { consumerOf, newTopic, numbered, producerOf } from './kafkajs-client.ts';
import { kafkaFor, startTestBroker, uniqueName } from './test-broker.ts';

const SESSION_MS = 1500;

const broker = await startTestBroker(t, { 'group.min.session.timeout.ms': '500' });
const kafka = kafkaFor(broker);
const admin = kafka.admin();
await admin.connect();
t.teardown(() => admin.disconnect());

interface MemberOptions {
  readonly kafka?: Kafka;
  readonly eachMessage?: (payload: EachMessagePayload) => Promise<void>;
  readonly autoCommit?: boolean;
  readonly metadataMaxAge?: number;
}

/** A consumer of a group with what it was assigned and what it saw. */
class Member {
  readonly consumer: Consumer;
  partitions: number[] = [];
  /** Times it was given an assignment. */
  joins = 0;
  isLeader = false;
  /** `partition-offset` of each record, in the order they came. */
  readonly seen: string[] = [];

  private constructor(consumer: Consumer, topic: string, changes: Changes) {
    this.consumer = consumer;
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.partitions = [...(payload.memberAssignment[topic] ?? [])].sort((a, b) => a - b);
      this.isLeader = payload.isLeader;
      this.joins++;
      changes.happened();
    });
  }

  /** Joins a group and reads; resolves when it runs, which may be before it has an assignment. */
  static async start(
    test: Test,
    groupId: string,
    topic: string,
    changes: Changes,
    options: MemberOptions = {},
  ): Promise<Member> {
    const consumer = await consumerOf(test, options.kafka ?? kafka, {
      groupId,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: 5000,
      heartbeatInterval: 200,
      retry: { initialRetryTime: 50, retries: 20 },
      ...(options.metadataMaxAge === undefined ? {} : { metadataMaxAge: options.metadataMaxAge }),
    });
    const member = new Member(consumer, topic, changes);
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommit: options.autoCommit ?? true,
      autoCommitThreshold: 1,
      eachMessage: async (payload) => {
        await options.eachMessage?.(payload);
        member.seen.push(`${payload.partition}-${payload.message.offset}`);
        changes.happened();
      },
    });
    return member;
  }
}

/** A member, here or in another process. */
type Sharer = Pick<Member, 'partitions' | 'seen'>;

/** Whether the members have all the partitions between them, each of them some. */
function share(members: readonly Sharer[], partitions: number): boolean {
  const all = members.flatMap((member) => member.partitions);
  return (
    all.length === partitions &&
    new Set(all).size === partitions &&
    members.every((member) => member.partitions.length > 0)
  );
}

const seenByAll = (members: readonly Sharer[]) => new Set(members.flatMap((member) => member.seen));

async function produce(test: Test, topic: string, count: number): Promise<void> {
  const producer = await producerOf(test, kafka);
  await producer.send({ topic, messages: numbered(count) });
}

t.test('one, three and one member share the partitions, and miss nothing', async (t) => {
  const topic = await newTopic(broker, 6);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const first = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([first], 6));
  await produce(t, topic, 60);
  await changes.until(() => first.seen.length === 60);

  const others = await Promise.all([
    Member.start(t, groupId, topic, changes),
    Member.start(t, groupId, topic, changes),
  ]);
  const all = [first, ...others];
  await changes.until(() => share(all, 6));
  t.same(
    all.map((member) => member.partitions.length),
    [2, 2, 2],
  );
  t.equal(all.filter((member) => member.isLeader).length, 1);
  const { groups } = await admin.describeGroups([groupId]);
  t.match(groups[0], { state: 'Stable', protocol: 'RoundRobinAssigner' });
  t.equal(groups[0]?.members.length, 3);
  await produce(t, topic, 60);
  await changes.until(() => seenByAll(all).size === 120);
  t.ok(
    others.every((member) => member.seen.length > 0),
    'each has its share',
  );

  await Promise.all(others.map((member) => member.consumer.disconnect()));
  await changes.until(() => share([first], 6));
  await produce(t, topic, 60);
  await changes.until(() => seenByAll(all).size === 180);
  const handed = all.flatMap((member) => member.seen).length;
  t.equal(handed, 180, 'members that left had committed: nothing came twice');
});

t.test('what a killed member held is given to the others after its session', async (t) => {
  const topic = await newTopic(broker, 4);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const survivor = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([survivor], 4));
  const options = { client: 'kafkajs', groupId, topic, sessionMs: SESSION_MS } as const;
  const victim = new DoomedMember(t, broker, changes, options);
  await changes.until(() => share([survivor, victim], 4));
  await produce(t, topic, 40);
  await changes.until(() => seenByAll([survivor, victim]).size === 40);
  const { partitions } = victim;
  await victim.kill();
  await produce(t, topic, 40);
  await changes.until(() => share([survivor], 4));
  await changes.until(() => seenByAll([survivor, victim]).size === 80);
  t.ok(partitions.every((partition) => survivor.seen.some((at) => at.startsWith(`${partition}-`))));
  const { groups } = await admin.describeGroups([groupId]);
  t.equal(groups[0]?.members.length, 1);
});

t.test('partitions that are added are given to the members', async (t) => {
  const topic = await newTopic(broker, 2);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const members = await Promise.all([
    Member.start(t, groupId, topic, changes, { metadataMaxAge: 200 }),
    Member.start(t, groupId, topic, changes, { metadataMaxAge: 200 }),
  ]);
  await changes.until(() => share(members, 2));
  await admin.createPartitions({ topicPartitions: [{ topic, count: 6 }] });
  await changes.until(() => share(members, 6));
  const producer = await producerOf(t, kafka);
  const messages = [0, 1, 2, 3, 4, 5].map((partition) => ({ partition, value: 'x' }));
  await producer.send({ topic, messages });
  await changes.until(() => seenByAll(members).size === 6);
  t.same(
    members.map((member) => member.partitions.length),
    [3, 3],
  );
});

t.test('a member that lost its way in the group comes back', async (t) => {
  const topic = await newTopic(broker, 2);
  const groupId = uniqueName('group');
  const changes = new Changes();
  let isSlow = true;
  const slow = await Member.start(t, groupId, topic, changes, {
    // Without heartbeats for longer than the session lasts, once.
    eachMessage: async () => {
      if (!isSlow) return;
      isSlow = false;
      await changes.until(() => quick?.partitions.length === 2);
    },
  });
  await changes.until(() => share([slow], 2));
  let quick: Member | undefined;
  await produce(t, topic, 10);
  quick = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([slow, quick!], 2));
  await changes.until(() => seenByAll([slow, quick!]).size === 10);
  t.ok(slow.joins > 1);
});

t.test('what was committed outlives the broker, and the group goes on from there', async (t) => {
  const own = await startTestBroker(t, { 'group.min.session.timeout.ms': '500' });
  const client = kafkaFor(own);
  const topic = await newTopic(own, 2);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const producer = await producerOf(t, client);
  await producer.send({ topic, messages: numbered(20) });
  const first = await Member.start(t, groupId, topic, changes, { kafka: client });
  await changes.until(() => first.seen.length === 20);
  await first.consumer.disconnect();
  const ownAdmin = client.admin();
  await ownAdmin.connect();
  t.teardown(() => ownAdmin.disconnect());
  const committed = await ownAdmin.fetchOffsets({ groupId, topics: [topic] });
  await own.restart();
  t.same(await ownAdmin.fetchOffsets({ groupId, topics: [topic] }), committed);
  await producer.send({ topic, messages: numbered(20) });
  const second = await Member.start(t, groupId, topic, changes, { kafka: client });
  await changes.until(() => second.seen.length === 20);
  const both = [...first.seen, ...second.seen];
  t.equal(new Set(both).size, 40, 'nothing was missed, nothing came twice');
});

t.test('members are known to a broker that was restarted, and go on', async (t) => {
  const own = await startTestBroker(t);
  const client = kafkaFor(own);
  const topic = await newTopic(own, 4);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const start = async () => {
    const consumer = await consumerOf(t, client, {
      groupId,
      sessionTimeout: 30_000,
      heartbeatInterval: 200,
      retry: { initialRetryTime: 50, retries: 20 },
    });
    const seen: string[] = [];
    let joins = 0;
    consumer.on(consumer.events.GROUP_JOIN, () => {
      joins++;
      changes.happened();
    });
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    await consumer.run({
      autoCommitThreshold: 1,
      eachMessage: async ({ partition, message }) => {
        seen.push(`${partition}-${message.offset}`);
        changes.happened();
      },
    });
    return { consumer, seen, joined: () => joins };
  };
  const members = [await start(), await start()];
  const seen = () => new Set(members.flatMap((member) => member.seen));
  const producer = await producerOf(t, client);
  const ownAdmin = client.admin();
  await ownAdmin.connect();
  t.teardown(() => ownAdmin.disconnect());
  await changes.until(() => members.every(({ joined }) => joined() > 0));
  await producer.send({ topic, messages: numbered(40) });
  await changes.until(() => seen().size === 40);
  await own.restart();
  const { groups } = await ownAdmin.describeGroups([groupId]);
  t.equal(groups[0]?.members.length, 2, 'the members are known');
  await producer.send({ topic, messages: numbered(40) });
  await changes.until(() => seen().size === 80);
});

/**
 * Groups of @platformatic/kafka consumers of the classic protocol: sharing partitions, static
 * members, losing members, and the broker's restarts.
 */

import type { ConsumeOptions, MessagesStream } from '@platformatic/kafka';
import t, { type Test } from 'tap';
import { WireConnection } from '../../benchmarks/client/connection.ts';
import { ErrorCode } from '../../protocol/errors.ts';
import { HeartbeatRequest, HeartbeatResponse } from '../../protocol/messages/heartbeat.ts';
import { Changes } from './changes.ts';
import { DoomedMember } from './doomed.ts';
import { adminOf, type TextConsumer, textConsumer, textProducer } from './platformatic-client.ts';
import { startTestBroker, type TestBroker, uniqueName } from './test-broker.ts';

const SESSION_MS = 1500;

const broker = await startTestBroker(t, { 'group.min.session.timeout.ms': '500' });

async function newTopic(test: Test, partitions: number, on = broker): Promise<string> {
  const topic = uniqueName('topic');
  await adminOf(test, on).createTopics({ topics: [topic], partitions, replicas: 1 });
  return topic;
}

/** Records in turn to all partitions of a topic. */
async function produce(
  test: Test,
  topic: string,
  count: number,
  partitions: number,
  on = broker,
): Promise<void> {
  const messages = Array.from({ length: count }, (_, index) => {
    return { topic, partition: index % partitions, value: String(index) };
  });
  await textProducer(test, on).send({ acks: -1, messages });
}

interface MemberOptions {
  readonly broker?: TestBroker;
  readonly instanceId?: string;
  readonly sessionMs?: number;
}

/** A consumer of a group with what it was assigned and what it saw. */
class Member {
  readonly consumer: TextConsumer;
  readonly seen: string[] = [];
  partitions: number[] = [];
  generation = -1;
  isLeader = false;
  private stream: MessagesStream<string, string, string, string> | undefined;
  private readonly changes: Changes;

  constructor(test: Test, groupId: string, changes: Changes, options: MemberOptions) {
    this.changes = changes;
    const sessionTimeout = options.sessionMs ?? SESSION_MS;
    this.consumer = textConsumer(test, options.broker ?? broker, {
      groupId,
      sessionTimeout,
      rebalanceTimeout: Math.max(sessionTimeout, 5000),
      heartbeatInterval: 200,
      // A leader that assigns goes by what it knows of the topic.
      metadataMaxAge: 0,
      ...(options.instanceId === undefined ? {} : { groupInstanceId: options.instanceId }),
    });
    // One that is closed while it joins again cannot, and says so.
    this.consumer.on('error', (error: Error) => {
      if (!this.consumer.closed) throw error;
    });
    this.consumer.on('consumer:group:join', ({ assignments, generationId, isLeader }) => {
      this.partitions = (assignments ?? []).flatMap(({ partitions }) => partitions);
      this.generation = generationId ?? -1;
      this.isLeader = isLeader ?? false;
      changes.happened();
    });
  }

  static async start(
    test: Test,
    groupId: string,
    topic: string,
    changes: Changes,
    options: MemberOptions = {},
  ): Promise<Member> {
    const member = new Member(test, groupId, changes, options);
    await member.read({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
    return member;
  }

  private async read(options: ConsumeOptions<string, string, string, string>): Promise<void> {
    const stream = await this.consumer.consume({ ...options, autocommit: 100 });
    this.stream = stream;
    stream.on('data', ({ partition, offset }) => {
      this.seen.push(`${partition}-${offset}`);
      this.changes.happened();
    });
    // A stream ends with an error of the network, or of its own (1.x at times asks for partitions
    // whose offsets it has not got yet): an application reads on with another one.
    stream.once('error', () => {
      if (!this.consumer.closed) void this.read(options);
    });
  }

  /** Commits what was seen and leaves the group. */
  async leave(): Promise<void> {
    await this.stream?.close();
    await this.consumer.close(true);
  }
}

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

t.test('one, three and one member share the partitions, and miss nothing', async (t) => {
  const topic = await newTopic(t, 6);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const first = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([first], 6));
  await produce(t, topic, 60, 6);
  await changes.until(() => first.seen.length === 60);

  const second = await Member.start(t, groupId, topic, changes);
  const third = await Member.start(t, groupId, topic, changes);
  const all = [first, second, third];
  await changes.until(() => share(all, 6));
  t.equal(all.filter((member) => member.isLeader).length, 1);
  const described = await adminOf(t, broker).describeGroups({ groups: [groupId] });
  t.match(described.get(groupId), { state: /^stable$/i, protocol: 'roundrobin' });
  t.equal(described.get(groupId)?.members.size, 3);
  await produce(t, topic, 60, 6);
  await changes.until(() => seenByAll(all).size === 120);

  await second.leave();
  await third.leave();
  await changes.until(() => share([first], 6));
  await produce(t, topic, 60, 6);
  await changes.until(() => seenByAll(all).size === 180);
});

t.test('what a killed member held is given to the others after its session', async (t) => {
  const topic = await newTopic(t, 4);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const survivor = await Member.start(t, groupId, topic, changes);
  const options = { client: 'platformatic', groupId, topic, sessionMs: SESSION_MS } as const;
  const victim = new DoomedMember(t, broker, changes, options);
  await changes.until(() => share([survivor, victim], 4));
  await produce(t, topic, 40, 4);
  await changes.until(() => seenByAll([survivor, victim]).size === 40);
  const { partitions } = victim;
  await victim.kill();
  await produce(t, topic, 40, 4);
  await changes.until(() => share([survivor], 4));
  await changes.until(() => seenByAll([survivor, victim]).size === 80);
  t.ok(partitions.every((partition) => survivor.seen.some((at) => at.startsWith(`${partition}-`))));
});

t.test('a static member that was killed comes back to what it had, unnoticed', async (t) => {
  const topic = await newTopic(t, 4);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const sessionMs = 30_000;
  const stays = await Member.start(t, groupId, topic, changes, { instanceId: 'one', sessionMs });
  const options = { client: 'platformatic', groupId, topic, sessionMs } as const;
  const victim = new DoomedMember(t, broker, changes, { ...options, instanceId: 'two' });
  await changes.until(() => share([stays, victim], 4));
  const { generation } = stays;
  await victim.kill();
  await produce(t, topic, 40, 4);
  const back = await Member.start(t, groupId, topic, changes, { instanceId: 'two', sessionMs });
  await changes.until(() => share([stays, back], 4));
  t.same(back.partitions, victim.partitions);
  t.equal(back.generation, generation);
  t.equal(stays.generation, generation, 'nobody had to join again');
  await changes.until(() => seenByAll([stays, back]).size === 40);
  const described = await adminOf(t, broker).describeGroups({ groups: [groupId] });
  const instances = [...(described.get(groupId)?.members.values() ?? [])].map((member) => {
    return member.groupInstanceId;
  });
  t.same(instances.sort(), ['one', 'two']);
});

t.test('a static member is fenced by another one of its name', async (t) => {
  const topic = await newTopic(t, 2);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const sessionMs = 30_000;
  const first = await Member.start(t, groupId, topic, changes, { instanceId: 'one', sessionMs });
  await changes.until(() => share([first], 2));
  const { memberId: fenced } = first.consumer as { memberId: string | null };
  const second = await Member.start(t, groupId, topic, changes, { instanceId: 'one', sessionMs });
  await changes.until(() => share([second], 2));
  t.equal(second.generation, first.generation);
  const connection = await WireConnection.open(broker.host, broker.port);
  t.teardown(() => connection.close());
  const { errorCode } = await connection.call(HeartbeatRequest, HeartbeatResponse, 4, {
    groupId,
    generationId: second.generation,
    memberId: fenced!,
    groupInstanceId: 'one',
  });
  t.equal(errorCode, ErrorCode.FENCED_INSTANCE_ID);
});

t.test('partitions that are added are given out in the next round', async (t) => {
  const topic = await newTopic(t, 2);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const first = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([first], 2));
  const admin = adminOf(t, broker);
  const [node] = (await admin.metadata({ topics: [] })).brokers.keys();
  const assignments = Array(4).fill({ brokerIds: [node] });
  await admin.createPartitions({ topics: [{ name: topic, count: 6, assignments }] });
  const second = await Member.start(t, groupId, topic, changes);
  await changes.until(() => share([first, second], 6));
  await produce(t, topic, 12, 6);
  await changes.until(() => seenByAll([first, second]).size === 12);
  t.ok(first.seen.length > 0 && second.seen.length > 0);
});

t.test('what was committed outlives the broker, and the group goes on from there', async (t) => {
  const own = await startTestBroker(t);
  const topic = await newTopic(t, 2, own);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const options = { broker: own, sessionMs: 10_000 };
  await produce(t, topic, 20, 2, own);
  const first = await Member.start(t, groupId, topic, changes, options);
  await changes.until(() => first.seen.length === 20);
  await first.leave();
  await own.restart();
  await produce(t, topic, 20, 2, own);
  const second = await Member.start(t, groupId, topic, changes, options);
  await changes.until(() => second.seen.length === 20);
  t.equal(new Set([...first.seen, ...second.seen]).size, 40, 'nothing was missed or came twice');
});

t.test('members are known to a broker that was restarted, and go on', async (t) => {
  const own = await startTestBroker(t);
  const topic = await newTopic(t, 4, own);
  const groupId = uniqueName('group');
  const changes = new Changes();
  const options = { broker: own, sessionMs: 30_000 };
  const members = [
    await Member.start(t, groupId, topic, changes, options),
    await Member.start(t, groupId, topic, changes, options),
  ];
  await changes.until(() => share(members, 4));
  await produce(t, topic, 40, 4, own);
  await changes.until(() => seenByAll(members).size === 40);
  await own.restart();
  const described = await adminOf(t, own).describeGroups({ groups: [groupId] });
  t.equal(described.get(groupId)?.members.size, 2, 'the members are known');
  await produce(t, topic, 40, 4, own);
  await changes.until(() => seenByAll(members).size === 80);
});

t.test('seek and pause: a stream starts where it is told, and stops while paused', async (t) => {
  const topic = await newTopic(t, 1);
  await produce(t, topic, 20, 1);
  const changes = new Changes();
  const consumer = textConsumer(t, broker);
  const offsets = [{ topic, partition: 0, offset: 7n }];
  const stream = await consumer.consume({ topics: [topic], mode: 'manual', offsets });
  const seen: bigint[] = [];
  stream.on('data', ({ offset }) => {
    seen.push(offset);
    changes.happened();
  });
  await changes.until(() => seen.length === 13);
  t.equal(seen[0], 7n);
  stream.pause();
  await produce(t, topic, 20, 1);
  t.equal(seen.length, 13);
  stream.resume();
  await changes.until(() => seen.length === 33);
  t.same(
    seen,
    Array.from({ length: 33 }, (_, index) => BigInt(7 + index)),
  );
});

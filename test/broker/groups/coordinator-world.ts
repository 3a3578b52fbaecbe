/** A coordinator over a topic in memory, with a clock of the test's; it can be started anew. */

import { GroupCoordinator } from '../../../broker/groups/coordinator.ts';
import type { JoinRequest } from '../../../broker/groups/messages.ts';
import type {
  CommitRequest,
  FetchedTopic,
  OffsetToCommit,
} from '../../../broker/groups/offset-operations.ts';
import type { GroupOptions } from '../../../broker/groups/options.ts';
import { partitionFor } from '../../../broker/groups/partition-for.ts';
import { Metrics } from '../../../broker/metrics.ts';
import type { ErrorName } from '../../../protocol/errors.ts';
import { ZERO_UUID } from '../../../protocol/schema.ts';
import type { Env } from '../../../storage/env.ts';
import { keptLog, settle } from '../harness.ts';
import { ManualClock } from '../manual-clock.ts';
import { type FakePartition, FakeTopics } from './fake-offsets-topic.ts';
import { GROUP_OPTIONS, joinRequest } from './group-world.ts';

export const TOPIC_ID = 'AAAAAAAAAAAAAAAAAAAAAQ';

export class CoordinatorWorld {
  readonly clock = new ManualClock();
  readonly topics = new FakeTopics();
  readonly metrics = new Metrics();
  readonly lines;
  readonly options: GroupOptions;
  coordinator: GroupCoordinator;
  private readonly env: Env;
  private drawn = 0;

  constructor(options: Partial<GroupOptions> = {}) {
    this.options = { ...GROUP_OPTIONS, ...options };
    const { log, lines } = keptLog();
    this.lines = lines;
    const bytes = (count: number) => {
      const random = Buffer.alloc(count);
      random.writeInt32BE(++this.drawn);
      return random;
    };
    const random = { bytes, fraction: () => 0 };
    this.env = { clock: this.clock, random, log } as unknown as Env;
    this.coordinator = this.make();
  }

  /** A world whose coordinator has loaded. */
  static async loaded(options: Partial<GroupOptions> = {}): Promise<CoordinatorWorld> {
    const world = new CoordinatorWorld(options);
    await world.coordinator.load();
    return world;
  }

  /** Another coordinator over the same topic, as after the end of the process. */
  async restart(): Promise<void> {
    this.coordinator.close();
    this.coordinator = this.make();
    await this.coordinator.load();
  }

  private make(): GroupCoordinator {
    const { env, topics, options, metrics } = this;
    return new GroupCoordinator({ env, topics, options, metrics });
  }

  /** The partition of the topic that keeps a group; undefined before the topic is made. */
  partitionOf(group: string): FakePartition | undefined {
    return this.topics.topic?.partitions[partitionFor(group, this.options.offsetsTopicPartitions)];
  }

  /** Kinds of the group's records in the log: what a reader of the topic sees. */
  recordsOf(group: string) {
    return (this.partitionOf(group)?.records ?? []).filter(
      (record) => record.kind !== 'other' && record.group === group,
    );
  }

  commit(request: Partial<CommitRequest> & { groupId: string }): Promise<ErrorName[]> {
    return this.coordinator.commitOffsets({
      memberId: '',
      instanceId: null,
      generationId: -1,
      retentionTimeMs: -1,
      knowsGroupNotFound: true,
      offsets: [offset('t', 0, 42)],
      ...request,
    });
  }

  /** Committed offsets as `topic-partition=offset`, of the whole group. */
  async fetch(group: string, stable = false): Promise<string[]> {
    return shown(await this.coordinator.fetchOffsets(group, null, stable));
  }

  /** A member of a group that is alone in it and has its assignment. */
  async member(
    group: string,
    topics: readonly string[] = [],
    request: Partial<JoinRequest> = {},
  ): Promise<string> {
    const protocols = [{ name: 'range', metadata: subscription(...topics) }];
    const full = joinRequest({ protocols, ...request });
    const joined = await this.coordinator.joinGroup(group, full);
    const { memberId, generationId } = joined;
    if (joined.error !== 'NONE') throw new Error(joined.error);
    const assignments = [{ memberId, assignment: Buffer.from('all') }];
    const sync = await this.coordinator.syncGroup(group, {
      memberId,
      instanceId: null,
      generationId,
      protocolType: null,
      protocolName: null,
      assignments,
    });
    if (sync.error !== 'NONE') throw new Error(sync.error);
    return memberId;
  }

  leave(group: string, memberId: string): ErrorName | ErrorName[] {
    const member = { memberId, groupInstanceId: null, reason: null };
    return this.coordinator.leaveGroup(group, [member]);
  }

  /** Lets the time pass, and whatever it brings about happen. */
  async pass(ms: number): Promise<void> {
    // Timers that are set by what another one brought about must come to fire too.
    const stepMs = Math.max(this.options.retentionCheckIntervalMs, ms / 20);
    for (let leftMs = ms; leftMs > 0; leftMs -= stepMs) {
      this.clock.advance(Math.min(leftMs, stepMs));
      await settle();
    }
  }
}

export function offset(
  topic: string,
  partition: number,
  at: number,
  more: Partial<OffsetToCommit> = {},
): OffsetToCommit {
  const metadata = `at ${at}`;
  return { topic, topicId: TOPIC_ID, partition, offset: at, leaderEpoch: 3, metadata, ...more };
}

export function shown(fetched: FetchedTopic[] | ErrorName): string[] {
  if (typeof fetched === 'string') return [fetched];
  return fetched.flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, error, committed }) => {
      const told = error === 'NONE' ? (committed?.offset ?? 'none') : error;
      return `${topic}-${partition}=${told}`;
    }),
  );
}

/** What a consumer joins with. */
export function subscription(...topics: string[]): Buffer {
  const head = Buffer.alloc(6);
  head.writeInt32BE(topics.length, 2);
  const names = topics.map((topic) => {
    const length = Buffer.alloc(2);
    length.writeInt16BE(Buffer.byteLength(topic));
    return Buffer.concat([length, Buffer.from(topic)]);
  });
  return Buffer.concat([head, ...names, Buffer.from('ffffffff', 'hex')]);
}

export const allOf = (topic: string, ...partitions: number[]) => [
  { topic, topicId: ZERO_UUID, partitions },
];

/** A broker with one topic and a coordinator, whose group APIs are spoken to through their codecs. */

import type { Api } from '../../../broker/api.ts';
import { offsetCommit } from '../../../broker/apis/08-offset-commit.ts';
import { joinGroup } from '../../../broker/apis/11-join-group.ts';
import { syncGroup } from '../../../broker/apis/14-sync-group.ts';
import { GroupCoordinator } from '../../../broker/groups/coordinator.ts';
import type { Input, Message } from '../../../protocol/schema.ts';
import { inRange, parseRange } from '../../../protocol/schema.ts';
import type { Random } from '../../../storage/env.ts';
import { DataBroker } from '../data-broker.ts';
import { FakeTopics } from './fake-offsets-topic.ts';
import { GROUP_OPTIONS } from './group-world.ts';

export const SESSION_MS = 10_000;

/** The versions of an API, or those within a range. */
export function versionsOf(api: Pick<Api, 'versions'>, within = '0+'): number[] {
  const { first, last } = parseRange(api.versions);
  const all = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  return all.filter((version) => inRange(within, version));
}

/** Random bytes of which no two are alike. */
function countingRandom(): Random {
  let drawn = 0;
  return { fraction: () => 0, bytes: (count) => Buffer.alloc(count, ++drawn) };
}

/** A broker with a topic `t` of two partitions and a coordinator. */
export class GroupBroker extends DataBroker {
  readonly orders = this.topic('t', { partitions: 2 });
  readonly groups: GroupCoordinator;

  constructor() {
    super();
    const { env, metrics } = this.services;
    this.groups = new GroupCoordinator({
      env: { ...env, random: countingRandom() },
      topics: new FakeTopics(),
      metrics,
      options: GROUP_OPTIONS,
    });
    Object.assign(this.services, { groups: this.groups });
  }

  /** A broker whose coordinator has loaded. */
  static async loaded(): Promise<GroupBroker> {
    const broker = new GroupBroker();
    await broker.groups.load();
    return broker;
  }

  /** Sends a request and gives the answer as that version of a client reads it. */
  ask<Q extends Message, R extends Message>(api: Api<Q, R>, version: number, value: Input<Q>) {
    return this.call(api, version, value, { clientId: 'app' }).answer;
  }

  join(version: number, request: Partial<Input<typeof joinGroup.request>> = {}) {
    return this.ask(joinGroup, version, {
      groupId: 'g',
      sessionTimeoutMs: SESSION_MS,
      rebalanceTimeoutMs: version >= 1 ? 30_000 : undefined,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from('sub') }],
      ...request,
    });
  }

  /** The only member of a group, stable in its first generation. */
  async member(): Promise<string> {
    const { memberId } = await this.join(3);
    const assignments = [{ memberId, assignment: Buffer.from('all') }];
    await this.ask(syncGroup, 3, { groupId: 'g', generationId: 1, memberId, assignments });
    return memberId;
  }

  commit(version: number, topic: object, more: object = {}) {
    const base = { groupId: 'g', generationIdOrMemberEpoch: -1, memberId: '' };
    return this.ask(offsetCommit, version, { ...base, topics: [topic], ...more } as never);
  }
}

/** A partition of an OffsetCommit. */
export const line = (partitionIndex: number, committedOffset: number, committedMetadata = '') => ({
  partitionIndex,
  committedOffset,
  committedMetadata,
});

/**
 * Keeps the partitions of a reading fed: sends Fetch requests for those that have room, and hands
 * each its answer.
 *
 * A request waits at the broker for what is not there yet, and a partition stands in one request at
 * a time. So that one which was emptied meanwhile need not wait for a request that waits for
 * others, there are up to three connections, made when they are wanted.
 *
 * What fails for a while (connection, broker, election) is tried again, at growing intervals, as
 * long as `patienceMs`; what fails for good ends the reading.
 */

import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ErrorCode } from '../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../protocol/messages/fetch.ts';
import type { Decoded } from '../protocol/schema.ts';
import { BrokerConnection, Disconnected, FETCH_VERSION } from './connection.ts';
import { ReadError } from './errors.ts';
import type { Growth } from './growth.ts';
import type { FeedHost, PartitionFeed } from './partition-feed.ts';
import { NO_EPOCH } from './partition-feed.ts';
import { Recovery, retryMs } from './recovery.ts';
import { NotYet, refusal, type Topic } from './topic.ts';

type Answer = Decoded<typeof FetchResponse>;
type PartitionAnswer = Answer['responses'][number]['partitions'][number];

const MOST_LANES = 3;

interface Lane {
  connection: BrokerConnection | undefined;
  isBusy: boolean;
}

/** What a request asked of a partition. */
interface Asked {
  readonly feed: PartitionFeed;
  readonly round: number;
  readonly offset: number;
}

export class Fetcher {
  readonly #host: FeedHost;
  readonly #topic: Topic;
  readonly #growth: Growth;
  readonly #feeds: readonly PartitionFeed[];
  readonly #recovery: Recovery;
  readonly #lanes: Lane[] = [];
  readonly #stop = new AbortController();
  #isPumping = false;
  #turn = 0;

  constructor(
    host: FeedHost,
    topic: Topic,
    growth: Growth,
    feeds: readonly PartitionFeed[],
    connection: BrokerConnection,
  ) {
    this.#host = host;
    this.#topic = topic;
    this.#growth = growth;
    this.#feeds = feeds;
    this.#recovery = new Recovery(host, topic);
    this.#lanes.push({ connection, isBusy: false });
    // Each partition that rests listens for it.
    setMaxListeners(0, this.#stop.signal);
  }

  /** Asks for what there is room for, once the turn is over. */
  pump(): void {
    if (this.#isPumping || this.#isStopped) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      if (!this.#isStopped) this.#start();
    });
  }

  close(): void {
    this.#stop.abort();
    for (const { connection } of this.#lanes) connection?.close();
  }

  get #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #start(): void {
    let wanting = this.#feeds.filter((feed) => feed.wants);
    if (wanting.length === 0) return;
    const alone = wanting.find((feed) => feed.isToBeAskedAlone);
    if (alone !== undefined) wanting = [alone];
    const lane = this.#freeLane();
    if (lane === undefined) return;
    wanting.sort((a, b) => a.turn - b.turn);
    for (const feed of wanting) feed.isAsked = true;
    lane.isBusy = true;
    void this.#ask(lane, wanting).finally(() => {
      lane.isBusy = false;
      for (const feed of wanting) feed.isAsked = false;
      this.pump();
    });
    if (alone !== undefined) this.pump();
  }

  #freeLane(): Lane | undefined {
    const free = this.#lanes.find(({ isBusy }) => !isBusy);
    if (free !== undefined || this.#lanes.length >= MOST_LANES) return free;
    const lane: Lane = { connection: undefined, isBusy: false };
    this.#lanes.push(lane);
    return lane;
  }

  /** One request and its answer; again until there is one. */
  async #ask(lane: Lane, feeds: readonly PartitionFeed[]): Promise<void> {
    const { settings } = this.#host;
    const failingSince = performance.now();
    for (let failures = 0; !this.#isStopped; failures++) {
      try {
        return await this.#fetch(await this.#connectionOf(lane), feeds);
      } catch (error) {
        if (this.#isStopped) return;
        const isPassing = error instanceof Disconnected || error instanceof NotYet;
        const { message } = error as Error;
        if (!isPassing) return this.#host.fail(error as Error);
        if (error instanceof Disconnected) {
          settings.onEvent?.({ kind: 'disconnected', reason: message });
        }
        if (performance.now() - failingSince > settings.patienceMs) {
          return this.#host.fail(new ReadError('UNREACHABLE', message, { cause: error }));
        }
        await this.#sleep(retryMs(failures));
      }
    }
  }

  /** The lane's connection, made anew when it was lost. */
  async #connectionOf(lane: Lane): Promise<BrokerConnection> {
    if (lane.connection?.isClosed === true) {
      lane.connection = undefined;
      this.#host.stats.disconnects++;
    }
    lane.connection ??= await BrokerConnection.open(this.#host.settings);
    if (this.#isStopped) lane.connection.close();
    return lane.connection;
  }

  async #sleep(delayMs: number): Promise<void> {
    await sleep(delayMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  async #fetch(connection: BrokerConnection, feeds: readonly PartitionFeed[]): Promise<void> {
    if (this.#growth.isDue) await this.#grow(connection);
    const { settings, stats } = this.#host;
    const asked = feeds.map((feed) => ({ feed, round: feed.round, offset: feed.askOffset }));
    const startedMs = performance.now();
    const { maxWaitMs } = settings;
    const answer = await connection.call(
      FetchRequest,
      FetchResponse,
      FETCH_VERSION,
      this.#request(connection, feeds),
      maxWaitMs,
    );
    const waitedMs = performance.now() - startedMs;
    stats.requests++;
    if (answer.errorCode !== ErrorCode.NONE) throw refusal('Fetch', answer.errorCode);
    const answers = new Map<number, PartitionAnswer>();
    for (const { partitions } of answer.responses) {
      for (const partition of partitions) answers.set(partition.partitionIndex, partition);
    }
    for (const each of asked) {
      const partition = answers.get(each.feed.index);
      if (partition === undefined || each.round !== each.feed.round) continue;
      await this.#take(connection, each, partition, waitedMs, asked.length === 1);
    }
  }

  /** Partitions that are new are asked for with the next request. */
  async #grow(connection: BrokerConnection): Promise<void> {
    const places = await this.#growth.look(connection);
    if (this.#isStopped || places.length === 0) return;
    this.#host.added(places);
    this.pump();
  }

  #request(connection: BrokerConnection, feeds: readonly PartitionFeed[]) {
    const { settings, ways } = this.#host;
    const { minBytes, maxWaitMs, maxBytes, maxLocatedBytes, isolation } = settings;
    const way = connection.givesLocations ? ways.asked : undefined;
    const partitions = feeds.map((feed) => ({
      partition: feed.index,
      fetchOffset: feed.askOffset,
      lastFetchedEpoch: feed.askEpoch,
      partitionMaxBytes: maxBytes,
    }));
    return {
      // What ends where the log ended need not wait for more.
      maxWaitMs: settings.follow ? maxWaitMs : 0,
      minBytes,
      maxBytes: Math.min(maxBytes * feeds.length, 0x7fff_ffff),
      isolationLevel: isolation === 'read_committed' ? 1 : 0,
      topics: [{ topicId: this.#topic.id, partitions }],
      ...(way !== undefined && {
        locate: {
          maxBytes: maxLocatedBytes * feeds.length,
          partitionMaxBytes: maxLocatedBytes,
          ...way,
        },
      }),
    };
  }

  async #take(
    connection: BrokerConnection,
    asked: Asked,
    answer: PartitionAnswer,
    waitedMs: number,
    wasAlone: boolean,
  ): Promise<void> {
    const { feed, offset } = asked;
    const { errorCode, divergingEpoch } = answer;
    if (errorCode !== ErrorCode.NONE) {
      const delayMs = await this.#recovery.refused(connection, feed, errorCode);
      if (delayMs !== undefined) this.#retryLater(feed, delayMs);
      return;
    }
    feed.failures = 0;
    if (divergingEpoch.endOffset >= 0 || divergingEpoch.epoch > NO_EPOCH) {
      this.#recovery.truncated(feed, divergingEpoch.endOffset, divergingEpoch.epoch);
      return;
    }
    const { stats, settings } = this.#host;
    const { location, records, abortedTransactions: aborted } = answer;
    let kind: 'location' | 'records' | 'nothing' = 'nothing';
    let nextOffset = offset;
    let bytes = 0;
    if (location.length > 0) {
      kind = 'location';
      stats.locations++;
      ({ nextOffset, length: bytes } = location);
      feed.addLocation(location, aborted);
    } else if (records !== null && records.length > 0) {
      kind = 'records';
      stats.recordAnswers++;
      nextOffset = feed.addRecords(records, aborted);
      bytes = records.length;
    } else this.#gotNothing(feed, answer, waitedMs, wasAlone);
    if (kind !== 'nothing') {
      this.#turn++;
      feed.turn = this.#turn;
      feed.isToBeAskedAlone = false;
    }
    const { index: partition } = feed;
    settings.onEvent?.({ kind, partition, offset, nextOffset, bytes, waitedMs });
  }

  #gotNothing(
    feed: PartitionFeed,
    { highWatermark, lastStableOffset }: PartitionAnswer,
    waitedMs: number,
    wasAlone: boolean,
  ): void {
    const { stats, settings } = this.#host;
    stats.waits++;
    stats.waitedMs += waitedMs;
    if (feed.endAt === undefined) return;
    const visibleTo = settings.isolation === 'read_committed' ? lastStableOffset : highWatermark;
    if (visibleTo < feed.endAt) return;
    // The rest may have been compacted away; or there was no room for it beside others.
    feed.isToBeAskedAlone = !wasAlone;
    if (!wasAlone) return;
    feed.endAt = feed.askOffset;
    this.#host.arrived();
  }

  #retryLater(feed: PartitionFeed, delayMs: number): void {
    feed.isResting = true;
    void this.#sleep(delayMs).then(() => {
      feed.isResting = false;
      this.pump();
    });
  }
}

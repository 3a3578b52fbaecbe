/**
 * A reading from its first request to its end: finds out where to begin, keeps the partitions fed,
 * and gives their batches one by one, the partitions in turn, each in its order.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadBatch } from './batch.ts';
import { BrokerConnection, Disconnected } from './connection.ts';
import { ReadError } from './errors.ts';
import { Fetcher } from './fetcher.ts';
import { Growth } from './growth.ts';
import { UrlAgents } from './located.ts';
import { type Settings, shareOut } from './options.ts';
import { type FeedHost, PartitionFeed } from './partition-feed.ts';
import { retryMs } from './recovery.ts';
import { noStats, type ReadStats } from './stats.ts';
import { type Place, writeToken } from './token.ts';
import { begin, NotYet, type Topic } from './topic.ts';
import { Ways } from './ways.ts';

export class Feeding implements FeedHost {
  settings: Settings;
  /** The settings before they were shared out. */
  readonly #given: Settings;
  readonly stats: ReadStats = noStats();
  readonly ways: Ways;
  readonly agents = new UrlAgents();
  readonly #feeds: PartitionFeed[] = [];
  #topic: Topic | undefined;
  #readsAll = false;
  #fetcher: Fetcher | undefined;
  /** Whose turn it is. */
  #next = 0;
  #failure: Error | undefined;
  #isClosed = false;
  #begun: Promise<void> | undefined;
  #wake: (() => void) | undefined;
  readonly #onAbort = () => this.arrived();

  constructor(settings: Settings) {
    this.settings = settings;
    this.#given = settings;
    this.ways = new Ways(settings.ways);
    settings.signal?.addEventListener('abort', this.#onAbort, { once: true });
  }

  arrived(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  drained(): void {
    this.#fetcher?.pump();
  }

  added(places: readonly Place[]): void {
    this.#feed(places, new Map());
    for (const { partition } of places) this.settings.onEvent?.({ kind: 'added', partition });
  }

  fail(error: Error): void {
    this.#failure ??= error;
    this.#fetcher?.close();
    this.arrived();
  }

  /**
   * The next batch, undefined at the end; at once where it is there. To be called again only when
   * the last call's promise is settled.
   */
  next(): ReadBatch | undefined | Promise<ReadBatch | undefined> {
    if (this.settings.signal?.aborted !== true) {
      const batch = this.#takeNow();
      if (batch !== undefined) return batch;
    }
    return this.#await();
  }

  /** Where the user stands; undefined before anything was asked for. */
  places(): readonly Place[] | undefined {
    return this.#topic === undefined ? undefined : this.#feeds.map((feed) => feed.place);
  }

  token(places: readonly Place[] | undefined = this.places()): string | undefined {
    if (places === undefined || this.#topic === undefined) return undefined;
    const { name: topic, id: topicId } = this.#topic;
    return writeToken({ topic, topicId, readsAll: this.#readsAll, places });
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.settings.signal?.removeEventListener('abort', this.#onAbort);
    this.#fetcher?.close();
    for (const feed of this.#feeds) feed.close();
    this.agents.close();
    this.arrived();
  }

  #feed(places: readonly Place[], ends: ReadonlyMap<number, number>): void {
    for (const place of places) {
      this.#feeds.push(new PartitionFeed(this, place, ends.get(place.partition)));
    }
    this.settings = shareOut(this.#given, this.#feeds.length);
  }

  #takeNow(): ReadBatch | Promise<ReadBatch> | undefined {
    const feeds = this.#feeds;
    for (let tried = 0; tried < feeds.length; tried++) {
      const feed = feeds[this.#next % feeds.length]!;
      this.#next = (this.#next + 1) % feeds.length;
      const batch = feed.take();
      if (batch !== undefined) return batch;
    }
    return undefined;
  }

  async #await(): Promise<ReadBatch | undefined> {
    const { signal } = this.settings;
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.#isClosed) return undefined;
        this.#begun ??= this.#begin();
        await this.#begun;
        const woken = new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        const batch = await this.#takeNow();
        if (batch !== undefined) return batch;
        if (this.#failure !== undefined && this.#feeds.every((feed) => feed.isEmpty)) {
          throw this.#failure;
        }
        if (this.#feeds.every((feed) => feed.isDone)) {
          this.close();
          return undefined;
        }
        if (this.#isClosed || signal?.aborted === true) continue;
        await woken;
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Connects and finds out where to begin; again for as long as there is hope. */
  async #begin(): Promise<void> {
    const { settings } = this;
    const startedMs = performance.now();
    for (let failures = 0; ; failures++) {
      settings.signal?.throwIfAborted();
      if (this.#isClosed) return;
      let connection: BrokerConnection | undefined;
      try {
        connection = await BrokerConnection.open(settings);
        const { topic, places, readsAll, ends } = await begin(connection, settings);
        if (this.#isClosed) break;
        this.#topic = topic;
        this.#readsAll = readsAll;
        this.#feed(places, ends);
        const growth = new Growth(topic, settings, readsAll);
        this.#fetcher = new Fetcher(this, topic, growth, this.#feeds, connection);
        this.#fetcher.pump();
        return;
      } catch (error) {
        connection?.close();
        if (!(error instanceof Disconnected || error instanceof NotYet)) throw error;
        settings.onEvent?.({ kind: 'disconnected', reason: error.message });
        if (performance.now() - startedMs > settings.patienceMs) {
          throw new ReadError('UNREACHABLE', error.message, { cause: error });
        }
        await sleep(retryMs(failures), undefined, { signal: settings.signal }).catch(() => {});
      }
    }
  }
}

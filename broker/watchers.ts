/**
 * Watchers: fetches that wait until enough bytes are there, a time is over, or their connection or
 * a topic of theirs goes. A watcher holds no data; whoever parked it reads again at its end.
 *
 * Each partition counts the bytes of records that readers may see, since the start of the process:
 * its position, one for either isolation level. A watcher's bytes count together over its
 * partitions, each capped at its limit. It waits in the lists of its partitions, ordered by the
 * position at which it is to be looked at again, and those positions are chosen so that its sum
 * cannot be reached before one of them is: with `missing` bytes over n partitions and no partition
 * further than a quantum of q bytes from its next look, at most n * (q - 1) bytes are unseen. So a
 * batch costs only the watchers that it may satisfy, whoever else is parked.
 *
 * Counterpart of Kafka's DelayedFetch in its purgatory.
 */

import type { ClientConnection } from './api.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import { IndexedHeap, type Ranked } from './indexed-heap.ts';
import type { Metrics } from './metrics.ts';

/** Why a watcher ended. */
export type WatchEnd = 'bytes' | 'deadline' | 'error' | 'closed' | 'deleted' | 'stopped';

/** Whoever waits; called exactly once, in the turn in which the wait ends, and never throws. */
export interface Waiting {
  watchEnded(reason: WatchEnd): void;
}

/** One partition's part in a wait. */
export interface WatchedSlice {
  readonly list: WatchList;
  /** The list's position when the slice was read. */
  readonly readPosition: number;
  /** Bytes of records that the read gave. */
  readonly readBytes: number;
  /** Bytes of this partition that count at most. */
  readonly limitBytes: number;
}

/** A watcher's place in the list of one partition; `rank` is the position of its next look. */
class Watch implements Ranked {
  rank = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly watcher: Watcher;
  readonly list: WatchList;
  /** Bytes of the partition that are counted in the watcher's sum, capped. */
  seenBytes: number;
  /** What the position is at `seenBytes === 0`. */
  readonly origin: number;
  readonly limitBytes: number;

  constructor(watcher: Watcher, slice: WatchedSlice) {
    this.watcher = watcher;
    this.list = slice.list;
    this.origin = slice.readPosition - slice.readBytes;
    this.limitBytes = slice.limitBytes;
    this.seenBytes = 0;
  }

  /** Counts what has come since the last look; gives the new bytes, capped. */
  count(): number {
    const bytes = Math.min(this.list.position - this.origin, this.limitBytes);
    const more = bytes - this.seenBytes;
    this.seenBytes = bytes;
    return more;
  }

  /** Sets the next look so many bytes on; never when the limit is used up. */
  lookAfter(bytes: number): void {
    const isOpen = this.seenBytes < this.limitBytes;
    const next = isOpen ? this.origin + this.seenBytes + bytes : Number.POSITIVE_INFINITY;
    this.list.heap.move(this, next);
  }
}

/** The watchers of one partition at one isolation level, and the position they are ordered by. */
export class WatchList {
  /** Bytes of records that have become visible since the process started; only grows. */
  position = 0;
  readonly heap = new IndexedHeap<Watch>();

  /** More has become visible: looks at the watchers whose position is reached, and at no other. */
  advance(position: number): void {
    this.position = position;
    for (let watch = this.heap.first; watch !== undefined; watch = this.heap.first) {
      if (watch.rank > position) return;
      watch.watcher.look(watch);
    }
  }

  /** Ends all watchers of the partition. */
  endAll(reason: WatchEnd): void {
    // Over a copy: who is not content with what it reads then waits here again.
    for (const watch of [...this.heap.items()]) watch.watcher.end(reason);
  }
}

/** A wait in progress. */
export class Watcher implements Deadline {
  rank = 0;
  heapIndex = -1;
  readonly #watchers: Watchers;
  readonly #waiting: Waiting;
  readonly #minBytes: number;
  #watches: readonly Watch[];
  #seenBytes = 0;
  #quantum = 0;
  #forgetClose: (() => void) | undefined;
  #ended = false;

  constructor(
    watchers: Watchers,
    waiting: Waiting,
    slices: readonly WatchedSlice[],
    minBytes: number,
  ) {
    this.#watchers = watchers;
    this.#waiting = waiting;
    this.#minBytes = minBytes;
    this.#watches = slices.map((slice) => new Watch(this, slice));
  }

  /** Joins the lists of its partitions, unless the bytes have come meanwhile. */
  start(connection: ClientConnection): void {
    for (const watch of this.#watches) watch.list.heap.add(watch);
    this.#forgetClose = connection.onClose(() => this.end('closed'));
    if (connection.closed) this.end('closed');
    else this.#distribute();
  }

  /** A partition of the watcher has reached the position of its next look. */
  look(watch: Watch): void {
    this.#watchers.looks++;
    this.#seenBytes += watch.count();
    const missing = this.#minBytes - this.#seenBytes;
    if (missing <= 0) this.end('bytes');
    else if (this.#watches.length * (this.#quantum - 1) < missing) watch.lookAfter(this.#quantum);
    else this.#distribute();
  }

  expire(): void {
    this.end('deadline');
  }

  /** Ends the wait, the first time. */
  end(reason: WatchEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#forgetClose?.();
    for (const watch of this.#watches) watch.list.heap.remove(watch);
    this.#watches = [];
    this.#watchers.left(this, reason);
    this.#waiting.watchEnded(reason);
  }

  /** Counts all partitions anew and gives each the quantum after which it is looked at again. */
  #distribute(): void {
    let open = 0;
    for (const watch of this.#watches) {
      this.#seenBytes += watch.count();
      if (watch.seenBytes < watch.limitBytes) open++;
    }
    const missing = this.#minBytes - this.#seenBytes;
    if (missing <= 0) {
      this.end('bytes');
      return;
    }
    // Half of an equal share, so that several looks fit in before all must be counted anew.
    this.#quantum = open > 1 ? Math.ceil(missing / (2 * open)) : missing;
    for (const watch of this.#watches) watch.lookAfter(this.#quantum);
  }
}

/** All waits of a broker. */
export class Watchers {
  /** How often a watcher was looked at because its partition had reached a position. */
  looks = 0;
  readonly #deadlines: Deadlines;
  readonly #metrics: Metrics;
  #parked = 0;
  #stopped = false;

  constructor(deadlines: Deadlines, metrics: Metrics) {
    this.#deadlines = deadlines;
    this.#metrics = metrics;
    metrics.gauge('watchers_parked').from(() => this.#parked);
    metrics.counter('watchers_examined_total').from(() => this.looks);
  }

  /** Each wait ends at once, since the broker stops. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Waits in progress. */
  get parked(): number {
    return this.#parked;
  }

  /**
   * Waits until the slices have `minBytes` together, at most `maxWaitMs`. `waiting` may be told
   * before this returns, when the bytes have come since the slices were read.
   */
  wait(
    waiting: Waiting,
    slices: readonly WatchedSlice[],
    minBytes: number,
    maxWaitMs: number,
    connection: ClientConnection,
  ): void {
    const watcher = new Watcher(this, waiting, slices, minBytes);
    this.#parked++;
    this.#deadlines.add(watcher, maxWaitMs);
    if (this.#stopped) watcher.end('stopped');
    else watcher.start(connection);
  }

  /** A watcher has ended. */
  left(watcher: Watcher, reason: WatchEnd): void {
    this.#parked--;
    this.#deadlines.remove(watcher);
    this.#metrics.counter('watchers_completed_total', reason).add();
  }

  /** Ends all waits, and from now on each at once: the broker stops. */
  stop(): void {
    this.#stopped = true;
    for (const item of [...this.#deadlines.items()]) {
      if (item instanceof Watcher) item.end('stopped');
    }
  }
}

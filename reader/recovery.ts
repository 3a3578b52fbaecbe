/**
 * What a reading does when the broker has not what is asked for: the offset has gone, the log was
 * truncated, the topic was deleted, or the broker cannot answer at present.
 */

import { ErrorCode, errorName, isRetriable } from '../protocol/errors.ts';
import type { BrokerConnection } from './connection.ts';
import { ReadError } from './errors.ts';
import type { Settings } from './options.ts';
import { type FeedHost, NO_EPOCH, type PartitionFeed } from './partition-feed.ts';
import { EARLIEST, findTopic, LATEST, listOffsets, type Topic } from './topic.ts';

const FIRST_RETRY_MS = 20;
const LONGEST_RETRY_MS = 1000;

export class Recovery {
  readonly #host: FeedHost;
  readonly #topic: Topic;

  constructor(host: FeedHost, topic: Topic) {
    this.#host = host;
    this.#topic = topic;
  }

  /** A partition was answered with an error. Gives after how long it is to be asked again. */
  async refused(
    connection: BrokerConnection,
    feed: PartitionFeed,
    errorCode: number,
  ): Promise<number | undefined> {
    const host = this.#host;
    const topic = this.#topic;
    switch (errorCode) {
      case ErrorCode.OFFSET_OUT_OF_RANGE:
        return this.#outOfRange(connection, feed);
      case ErrorCode.UNKNOWN_TOPIC_ID:
      case ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
      case ErrorCode.INCONSISTENT_TOPIC_ID: {
        const found = await findTopic(connection, topic.name);
        if (found?.id === topic.id) return this.#delay(feed, errorCode);
        host.fail(new ReadError('TOPIC_DELETED', `the topic ${topic.name} was deleted`));
        return undefined;
      }
      case ErrorCode.CORRUPT_MESSAGE:
        host.fail(this.#error('CORRUPT', feed, 'the broker found damage'));
        return undefined;
      default:
        return this.#delay(feed, errorCode);
    }
  }

  /** The broker's log parts from what was read at `endOffset`, the end of `epoch` there. */
  truncated(feed: PartitionFeed, endOffset: number, epoch: number): void {
    const { offset } = feed.place;
    // What was given is still there; what was only fetched may not be.
    if (offset <= endOffset) feed.askAgain();
    else this.#lost(feed, endOffset, epoch);
  }

  /** Records that were given are no more. */
  #lost(feed: PartitionFeed, endOffset: number, epoch: number): void {
    const { settings, stats } = this.#host;
    const { offset } = feed.place;
    if (settings.reset === 'error') {
      const reason = `the broker lost what it had given from offset ${endOffset} on`;
      this.#host.fail(this.#error('LOG_TRUNCATED', feed, reason, endOffset));
      return;
    }
    stats.truncations++;
    feed.restart(endOffset, epoch);
    const { index: partition } = feed;
    settings.onEvent?.({ kind: 'truncated', partition, offset, nextOffset: endOffset });
  }

  /** Gives after how long the partition is to be asked again. */
  async #outOfRange(
    connection: BrokerConnection,
    feed: PartitionFeed,
  ): Promise<number | undefined> {
    const { settings, stats } = this.#host;
    const { index: partition, askOffset: offset } = feed;
    const list = async (timestamp: number, isolation: Settings['isolation']) => {
      const found = await listOffsets(connection, this.#topic, [partition], timestamp, isolation);
      return found.get(partition) ?? offset;
    };
    const start = await list(EARLIEST, 'read_uncommitted');
    const end = await list(LATEST, 'read_uncommitted');
    // An offset that the user made up was never there: that is no loss.
    const isMadeUp = offset > end && feed.place.epoch === NO_EPOCH;
    if (offset >= start && !isMadeUp) return this.#beyondEnd(feed, end);
    if (settings.reset === 'error') {
      const reason = `the log has the offsets from ${start} up to ${end}`;
      this.#host.fail(this.#error('OFFSET_OUT_OF_RANGE', feed, reason, start));
      return undefined;
    }
    stats.resets++;
    const nextOffset =
      settings.reset === 'earliest' ? start : await list(LATEST, settings.isolation);
    feed.goTo(nextOffset);
    settings.onEvent?.({ kind: 'reset', partition, offset, nextOffset });
    return undefined;
  }

  /** The log ends before what was asked for, or does not know the epoch of what was read. */
  #beyondEnd(feed: PartitionFeed, end: number): number | undefined {
    const { offset } = feed.place;
    if (offset > end) {
      this.#lost(feed, end, NO_EPOCH);
      return undefined;
    }
    // What was only fetched may be the cause, or the log may have gone on meanwhile.
    const isFirst = feed.failures === 0;
    const delayMs = this.#delay(feed, ErrorCode.OFFSET_NOT_AVAILABLE);
    if (isFirst || feed.askEpoch === NO_EPOCH) feed.askAgain();
    else this.#lost(feed, offset, NO_EPOCH);
    return delayMs;
  }

  /** Retriable errors are asked again, not for ever. */
  #delay(feed: PartitionFeed, errorCode: number): number | undefined {
    const nowMs = performance.now();
    if (feed.failures === 0) feed.failingSince = nowMs;
    const isOver = nowMs - feed.failingSince > this.#host.settings.patienceMs;
    if (!isRetriable(errorName(errorCode)) || isOver) {
      const reason = `the broker answers ${errorName(errorCode)}`;
      this.#host.fail(this.#error('REFUSED', feed, reason));
      return undefined;
    }
    feed.failures++;
    return retryMs(feed.failures - 1);
  }

  #error(
    code: 'CORRUPT' | 'LOG_TRUNCATED' | 'OFFSET_OUT_OF_RANGE' | 'REFUSED',
    feed: PartitionFeed,
    reason: string,
    resumeAt?: number,
  ): ReadError {
    const { index: partition, askOffset: offset } = feed;
    const message = `${this.#topic.name}, partition ${partition}, offset ${offset}: ${reason}`;
    const where = { partition, offset };
    return new ReadError(code, message, resumeAt === undefined ? where : { ...where, resumeAt });
  }
}

/** How long to wait after so many failures in a row. */
export function retryMs(failures: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10));
}

/** What only the broker that runs knows of a log: its marks, and what is in memory. */

import type { FlushQueue } from '../flush-queue.ts';
import type { PartitionLog } from '../partition-log.ts';

export interface LiveLog {
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  readonly logStartOffset: number;
  readonly persistedOffset: number;
  readonly durableOffset: number;
  readonly writtenOffset: number;
  readonly endOffset: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly leaderEpoch: number;
  readonly segmentBytes: number;
  /** Not persisted yet. */
  readonly memoryBytes: number;
  readonly memoryChunks: number;
  /** The part of it that is sealed and waits its turn to be persisted. */
  readonly queuedBytes: number;
  readonly queuedChunks: number;
  /** Why it takes nothing any more. */
  readonly failure: string | undefined;
}

export function* liveLogs(logs: Iterable<PartitionLog>, queue: FlushQueue): Generator<LiveLog> {
  for (const log of logs) {
    const waiting = queue.waitingOf(log);
    const { sizeBytes: memoryBytes, chunks: memoryChunks } = log.inMemory;
    yield {
      topic: log.topic,
      topicId: log.topicId,
      partition: log.partition,
      logStartOffset: log.logStartOffset,
      persistedOffset: log.persistedOffset,
      durableOffset: log.durableOffset,
      writtenOffset: log.writtenOffset,
      endOffset: log.endOffset,
      highWatermark: log.highWatermark,
      lastStableOffset: log.lastStableOffset,
      leaderEpoch: log.leaderEpoch,
      segmentBytes: log.segments.sizeBytes,
      memoryBytes,
      memoryChunks,
      queuedBytes: waiting.reduce((sum, chunk) => sum + chunk.sizeBytes, 0),
      queuedChunks: waiting.length,
      failure: log.failure?.message,
    };
  }
}

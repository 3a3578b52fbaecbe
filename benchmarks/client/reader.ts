/** Reading partitions as a consumer does: one Fetch after the other on a connection of its own. */

import { decodeResponse } from '../../protocol/header.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { batchBytes, lastOffset } from '../../protocol/record-batch.ts';
import type { WireConnection } from './connection.ts';
import { refuseError } from './topics.ts';

/** The last version with topic names. */
const FETCH_VERSION = 12;
/** Bytes of a batch's base offset and length. */
const LOG_OVERHEAD = 12;

export interface ReaderOptions {
  readonly topic: string;
  /** First offset to read, by partition. */
  readonly from: ReadonlyMap<number, number>;
  readonly maxWaitMs: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Told each whole batch, in offset order within its partition. */
  readonly onBatch: (buffer: Buffer, at: number, partition: number) => void;
  /** Told after each answer; false ends the reading. */
  readonly goOn: () => boolean;
}

/** Reads until `goOn` says no. */
export function read(connection: WireConnection, options: ReaderOptions): Promise<void> {
  const next = new Map(options.from);
  return new Promise((resolve, reject) => {
    const ask = () => {
      const request = {
        maxWaitMs: options.maxWaitMs,
        minBytes: options.minBytes,
        maxBytes: options.maxBytes,
        topics: [
          {
            topic: options.topic,
            partitions: Array.from(next, ([partition, fetchOffset]) => ({
              partition,
              fetchOffset,
              partitionMaxBytes: options.maxBytes,
            })),
          },
        ],
      };
      connection.send(FetchRequest, FETCH_VERSION, request, answered, reject);
    };
    const answered = (frame: Buffer) => {
      takeAnswer(frame, next, options);
      if (options.goOn()) ask();
      else resolve();
    };
    ask();
  });
}

function takeAnswer(frame: Buffer, next: Map<number, number>, options: ReaderOptions): void {
  const { value } = decodeResponse(frame, FetchResponse, FETCH_VERSION);
  refuseError('Fetch', value.errorCode);
  for (const { partitions } of value.responses) {
    for (const { partitionIndex, errorCode, records } of partitions) {
      refuseError('Fetch', errorCode);
      if (records === null) continue;
      let at = 0;
      // The last batch may be cut; it comes whole with the next answer.
      while (
        at + LOG_OVERHEAD <= records.length &&
        at + batchBytes(records, at) <= records.length
      ) {
        options.onBatch(records, at, partitionIndex);
        next.set(partitionIndex, lastOffset(records, at) + 1);
        at += batchBytes(records, at);
      }
    }
  }
}

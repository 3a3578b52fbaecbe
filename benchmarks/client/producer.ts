/** Sending batches: one Produce request for one topic, and its answer checked. */

import { decodeResponse } from '../../protocol/header.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import type { WireConnection } from './connection.ts';
import { refuseError } from './topics.ts';

/** The last version with topic names, so that no benchmark needs to look up ids. */
const PRODUCE_VERSION = 11;
const TIMEOUT_MS = 30_000;

export type Acks = 0 | 1 | -1;

export interface PartitionBatch {
  readonly index: number;
  readonly records: Buffer;
}

/** Sends batches for partitions of one topic; with acks=0 nothing is told. */
export function produce(
  connection: WireConnection,
  topic: string,
  acks: Acks,
  batches: readonly PartitionBatch[],
  acknowledged: () => void,
  failed: (error: Error) => void,
): void {
  const request = {
    acks,
    timeoutMs: TIMEOUT_MS,
    topicData: [{ name: topic, partitionData: batches }],
  };
  if (acks === 0) {
    connection.sendUnanswered(ProduceRequest, PRODUCE_VERSION, request);
    return;
  }
  const answer = (frame: Buffer) => {
    const { value } = decodeResponse(frame, ProduceResponse, PRODUCE_VERSION);
    for (const response of value.responses) {
      for (const { errorCode } of response.partitionResponses) refuseError('Produce', errorCode);
    }
    acknowledged();
  };
  connection.send(ProduceRequest, PRODUCE_VERSION, request, answer, failed);
}

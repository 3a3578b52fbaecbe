/** Sending batches: one Produce request for one topic, and its answer checked. */

import { decodeResponse, encodeRequest } from '../../protocol/header.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import { CLIENT_ID, type WireConnection } from './connection.ts';
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
    checkAnswer(frame);
    acknowledged();
  };
  connection.send(ProduceRequest, PRODUCE_VERSION, request, answer, failed);
}

/** Requests of at most this are one buffer: a write of one part is cheaper than the copy is dear. */
const JOINED_BYTES = 64 * 1024;

/**
 * Produce requests that are encoded once and sent many times, one after the other: what a request
 * costs is the broker's then. There must be more of them than are under way at once.
 */
export class PreparedProduce {
  readonly #acks: Acks;
  readonly #requests: readonly (readonly Buffer[])[];
  #next: number;

  /** `first`: which of them is sent first. */
  constructor(
    topic: string,
    acks: Acks,
    requests: readonly (readonly PartitionBatch[])[],
    first = 0,
  ) {
    this.#acks = acks;
    this.#next = first % requests.length;
    this.#requests = requests.map((partitionData) => {
      const value = { acks, timeoutMs: TIMEOUT_MS, topicData: [{ name: topic, partitionData }] };
      const header = { apiVersion: PRODUCE_VERSION, correlationId: 0, clientId: CLIENT_ID };
      const parts = encodeRequest(ProduceRequest, header, value);
      const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
      return sizeBytes <= JOINED_BYTES ? [Buffer.concat(parts)] : parts;
    });
  }

  /** Sends the next one; with acks=0 nothing is told. */
  send(connection: WireConnection, acknowledged: () => void, failed: (error: Error) => void): void {
    const request = this.#requests[this.#next]!;
    this.#next = (this.#next + 1) % this.#requests.length;
    if (this.#acks === 0) {
      connection.sendEncodedUnanswered(request);
      return;
    }
    const answer = (frame: Buffer) => {
      checkAnswer(frame);
      acknowledged();
    };
    connection.sendEncoded(request, answer, failed);
  }
}

function checkAnswer(frame: Buffer): void {
  const { value } = decodeResponse(frame, ProduceResponse, PRODUCE_VERSION);
  for (const response of value.responses) {
    for (const { errorCode } of response.partitionResponses) refuseError('Produce', errorCode);
  }
}

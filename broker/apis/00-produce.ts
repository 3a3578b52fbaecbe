/**
 * Produce, API key 0, versions 3-13: appends one batch of magic 2 to each of many partitions. The
 * way of a request is produce-run.ts's, what is checked of a batch validate.ts's.
 *
 * Versions 3-13 differ in: 5 log start offset, 7 zstd (KIP-110), 8 errors of records and a message
 * (KIP-467), 9 flexible, 10 leader and endpoints beside NOT_LEADER_OR_FOLLOWER (KIP-951), which one
 * node never gives, 11 and 12 transactions (KIP-890), 13 topic ids (KIP-516).
 *
 * acks=0 has no answer; where it has an error, the connection is closed. Topics of the broker's own
 * are refused, except to Kafka's admin client, as Kafka does it.
 * Source: Kafka's KafkaApis.handleProduceRequest, ReplicaManager.appendRecords.
 */

import { ProtocolError } from '../../protocol/errors.ts';
import { ProduceRequest, ProduceResponse } from '../../protocol/messages/produce.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api, CLOSE_CONNECTION, NO_RESPONSE, type RequestContext, Staged } from '../api.ts';
import { Later } from '../later.ts';
import { reportPartitionError } from '../partition-errors.ts';
import { ProducePart } from '../produce-part.ts';
import { type Acks, ProduceRun } from '../produce-run.ts';
import { ProduceTransaction } from '../produce-transaction.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof ProduceRequest>;
type TopicData = Request['topicData'][number];
type Response = Input<typeof ProduceResponse>;
type PartitionAnswer = Response['responses'][number]['partitionResponses'][number];

const FIRST_WITH_TOPIC_ID = 13;
/** The client id under which Kafka lets a client write to internal topics. */
const ADMIN_CLIENT_ID = '__admin_client';
/** What decoding makes of a frame: objects for the partitions; records stay in the frame. */
const DECODED_BYTES = 16 * 1024;

function isAcks(acks: number): acks is Acks {
  return acks === -1 || acks === 0 || acks === 1;
}

function findTopic(context: RequestContext, { name, topicId }: TopicData): Topic | undefined {
  const { topics } = context.services;
  return context.apiVersion >= FIRST_WITH_TOPIC_ID ? topics.byId(topicId) : topics.get(name);
}

/** What speaks against a part before its records are looked at. */
function faultOf(
  context: RequestContext,
  request: Request,
  topic: Topic | undefined,
  part: ProducePart,
): ProtocolError | undefined {
  if (topic === undefined && context.apiVersion >= FIRST_WITH_TOPIC_ID) {
    return new ProtocolError('UNKNOWN_TOPIC_ID');
  }
  if (part.partition === undefined) return new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
  if (!isAcks(request.acks)) {
    return new ProtocolError('INVALID_REQUIRED_ACKS', `acks is ${request.acks}`);
  }
  if (topic?.internal === true && context.clientId !== ADMIN_CLIENT_ID) {
    return new ProtocolError('INVALID_TOPIC_EXCEPTION', 'only the broker writes to this topic');
  }
  return undefined;
}

/** The parts of a request, in its order; those that are refused have their error. */
function makeParts(context: RequestContext, request: Request): ProducePart[] {
  const parts: ProducePart[] = [];
  for (const data of request.topicData) {
    const topic = findTopic(context, data);
    const name = topic?.name ?? data.name;
    for (const { index, records } of data.partitionData) {
      const part = new ProducePart(name, index, topic?.partitions[index], records);
      const fault = faultOf(context, request, topic, part);
      if (fault !== undefined) {
        part.fail(reportPartitionError(context, name, index, fault));
        context.services.metrics.counter('produce_refused_total', fault.errorName).add();
      }
      parts.push(part);
    }
  }
  // A transactional batch needs the right to write under the transactional id that is not there.
  if (request.transactionalId === null && parts.some((part) => part.isTransactional)) {
    throw new ProtocolError('TRANSACTIONAL_ID_AUTHORIZATION_FAILED');
  }
  return parts;
}

function partitionAnswer(part: ProducePart): PartitionAnswer {
  return {
    index: part.index,
    errorCode: part.errorCode,
    baseOffset: part.baseOffset,
    logAppendTimeMs: part.logAppendTimeMs,
    logStartOffset: part.logStartOffset,
    recordErrors: part.recordErrors.map(({ index, message }) => ({
      batchIndex: index,
      batchIndexErrorMessage: message,
    })),
    errorMessage: part.errorMessage,
  };
}

function answer(request: Request, parts: readonly ProducePart[]): Response {
  let at = 0;
  const responses = request.topicData.map(({ name, topicId, partitionData }) => {
    const partitionResponses = partitionData.map(() => partitionAnswer(parts[at++]!));
    return { name, topicId, partitionResponses };
  });
  return { responses, throttleTimeMs: 0 };
}

function acknowledge(request: Request, run: ProduceRun): Response | Later<Response> {
  const later = new Later<Response>();
  const isWaiting = run.acknowledge(() => later.resolve(answer(request, run.parts)));
  return isWaiting ? later : answer(request, run.parts);
}

/** What follows when all is appended. */
function conclude(
  request: Request,
  run: ProduceRun,
): Response | Later<Response> | typeof NO_RESPONSE | typeof CLOSE_CONNECTION {
  if (request.acks === 0) return run.hasErrors ? CLOSE_CONNECTION : NO_RESPONSE;
  return acknowledge(request, run);
}

export const produce = api({
  name: 'Produce',
  versions: '3-13',
  request: ProduceRequest,
  response: ProduceResponse,
  memory: () => DECODED_BYTES,
  largestFrameBytes: Number.POSITIVE_INFINITY,
  keepsFrame: true,
  handle(context, request) {
    const parts = makeParts(context, request);
    const acks = isAcks(request.acks) ? request.acks : 1;
    const transaction = ProduceTransaction.of(context, request.transactionalId, parts);
    const run = new ProduceRun(context, parts, acks, request.timeoutMs, transaction);
    const appending = run.append();
    if (appending === undefined) return conclude(request, run);
    return new Staged(
      appending,
      appending.then(() => {
        const given = conclude(request, run);
        return given instanceof Later ? given.promise() : given;
      }),
    );
  },
  onError(_context, request, errorCode) {
    if (request.acks === 0) return CLOSE_CONNECTION;
    return {
      responses: request.topicData.map(({ name, topicId, partitionData }) => ({
        name,
        topicId,
        partitionResponses: partitionData.map(({ index }) => ({
          index,
          errorCode,
          baseOffset: -1,
        })),
      })),
    };
  },
});

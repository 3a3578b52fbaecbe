/**
 * Fetch, API key 1, versions 4-18: records of many partitions, waited for when there are too few.
 * Reading and waiting are fetch-run.ts's, sessions fetch-sessions.ts's.
 *
 * Version 5: log start offset. Version 7: sessions (KIP-227). Version 9: current leader epoch
 * (KIP-320). Version 10: zstd. Version 11: rack (KIP-392), without a meaning on one node. Version
 * 12: flexible, last fetched and diverging epoch (KIP-595). Version 13: topic ids (KIP-516).
 * Version 15: replica state (KIP-903). Version 16: leader and endpoints beside errors (KIP-951).
 * Versions 17 and 18: of replicas only (KIP-853, KIP-1166). Tagged field 10000 of 12 and up, in the
 * request and beside it in the answer: locations, our own (docs/locations.md).
 * Source: Kafka's KafkaApis.handleFetchRequest.
 */

import { ErrorCode, errorName, ProtocolError } from '../../protocol/errors.ts';
import { FetchRequest, FetchResponse } from '../../protocol/messages/fetch.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { api, type RequestContext } from '../api.ts';
import { Locating } from '../fetch-location.ts';
import { FetchRun } from '../fetch-run.ts';
import type { SessionPartition } from '../fetch-sessions.ts';
import { FetchSlice } from '../fetch-slice.ts';
import type { Partition } from '../partition.ts';
import { WatchList } from '../watchers.ts';

type Request = Decoded<typeof FetchRequest>;
type Response = Input<typeof FetchResponse>;
type TopicAnswer = Response['responses'][number];
type PartitionAnswer = TopicAnswer['partitions'][number];

const READ_UNCOMMITTED = 0;
const READ_COMMITTED = 1;
/** Versions up to this know no KAFKA_STORAGE_ERROR. */
const LAST_WITHOUT_STORAGE_ERROR = 5;
const FIRST_WITH_TOPIC_ID = 13;
const FIRST_WITH_ENDPOINTS = 16;

const NO_RECORDS = Buffer.alloc(0);
/** Where slices without a partition would wait; nothing ever does. */
const NOWHERE = new WatchList();

/** The partition a client means, or the error that there is none. */
function resolve(context: RequestContext, asked: SessionPartition): Partition | number {
  const { topics, authorizer } = context.services;
  if (asked.topic === undefined) return ErrorCode.UNKNOWN_TOPIC_ID;
  if (!authorizer.mayRead(context, asked.topic)) return ErrorCode.TOPIC_AUTHORIZATION_FAILED;
  const topic = topics.get(asked.topic);
  const partition = topic?.partitions[asked.partition];
  if (topic === undefined || partition === undefined) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  if (asked.topicId !== ZERO_UUID && asked.topicId !== topic.id) {
    return ErrorCode.INCONSISTENT_TOPIC_ID;
  }
  return partition;
}

function makeSlice(
  context: RequestContext,
  asked: SessionPartition,
  readCommitted: boolean,
): FetchSlice {
  const partition = resolve(context, asked);
  if (typeof partition !== 'number') {
    const list = readCommitted ? partition.stable : partition.visible;
    return new FetchSlice(asked, partition, list);
  }
  const slice = new FetchSlice(asked, undefined, NOWHERE);
  slice.fail(partition);
  return slice;
}

function isReadCommitted(request: Request): boolean {
  const { isolationLevel } = request;
  if (isolationLevel !== READ_UNCOMMITTED && isolationLevel !== READ_COMMITTED) {
    throw new ProtocolError('UNKNOWN_SERVER_ERROR', `unknown isolation level ${isolationLevel}`);
  }
  return isolationLevel === READ_COMMITTED;
}

/** The code as the version of the request knows it. */
function toldCode(context: RequestContext, errorCode: number): number {
  const isOld = context.apiVersion <= LAST_WITHOUT_STORAGE_ERROR;
  return isOld && errorCode === ErrorCode.KAFKA_STORAGE_ERROR
    ? ErrorCode.NOT_LEADER_OR_FOLLOWER
    : errorCode;
}

/**
 * Whether a client is to be told where the leader is (KIP-951). Kafka tells one that is fenced too,
 * who is then where it should be already; @platformatic/kafka 1.x cannot read an answer with filled
 * tagged fields, and would ask the same for ever.
 */
function tellsLeader(context: RequestContext, slice: FetchSlice): boolean {
  if (context.apiVersion < FIRST_WITH_ENDPOINTS || slice.partition === undefined) return false;
  return slice.errorCode === ErrorCode.NOT_LEADER_OR_FOLLOWER;
}

function recordsOf(slice: FetchSlice): Buffer | readonly Buffer[] {
  const { reads } = slice;
  if (reads.length === 0) return NO_RECORDS;
  return reads.length === 1 ? reads[0]!.buffers : reads.flatMap((read) => read.buffers);
}

function partitionAnswer(context: RequestContext, slice: FetchSlice): PartitionAnswer {
  return {
    partitionIndex: slice.asked.partition,
    errorCode: toldCode(context, slice.errorCode),
    highWatermark: slice.highWatermark,
    lastStableOffset: slice.lastStableOffset,
    logStartOffset: slice.logStartOffset,
    divergingEpoch: slice.divergingEpoch,
    currentLeader: tellsLeader(context, slice)
      ? { leaderId: context.services.nodeId, leaderEpoch: slice.partition!.log.leaderEpoch }
      : undefined,
    // Null says "not read_committed"; beside an error of a partition that is not there Kafka has none.
    abortedTransactions: slice.partition === undefined ? [] : slice.aborted,
    location: slice.location,
    records: recordsOf(slice),
  };
}

/** Partitions under their topics, neighbours of one topic together. */
function groupByTopic(context: RequestContext, slices: readonly FetchSlice[]): TopicAnswer[] {
  const topics: TopicAnswer[] = [];
  let last: SessionPartition | undefined;
  let partitions: PartitionAnswer[] = [];
  for (const slice of slices) {
    const { asked } = slice;
    const isSame =
      asked.topicId === last?.topicId &&
      (asked.topicId !== ZERO_UUID || asked.topic === last.topic);
    if (!isSame) {
      partitions = [];
      topics.push({ topic: asked.topic, topicId: asked.topicId, partitions });
      last = asked;
    }
    partitions.push(partitionAnswer(context, slice));
  }
  return topics;
}

function count(context: RequestContext, slices: readonly FetchSlice[]): void {
  const { metrics } = context.services;
  let bytes = 0;
  let records = 0;
  for (const slice of slices) {
    if (slice.errorCode !== ErrorCode.NONE) {
      metrics.counter('fetch_refused_total', errorName(slice.errorCode)).add();
    } else if (slice.location !== undefined) {
      metrics.counter('fetch_located_total').add();
      metrics.counter('fetch_located_bytes_total').add(slice.location.length);
    } else if (slice.sizeBytes > 0) {
      bytes += slice.sizeBytes;
      records += slice.nextOffset - slice.fetchOffset;
    }
  }
  if (bytes === 0) return;
  metrics.counter('fetch_bytes_total').add(bytes);
  metrics.counter('fetch_records_total').add(records);
}

function answer(run: FetchRun<Response>): Response {
  const { context, session, ordered } = run;
  const { errorCode, sessionId, outcomes } = session.answer(ordered);
  if (errorCode === ErrorCode.NONE && ordered.some(({ reads }) => reads.length > 0)) {
    context.onSent(() => run.release());
  } else run.release();
  run.answered();
  count(context, outcomes);
  const tells = outcomes.some((slice) => tellsLeader(context, slice));
  const { host, port } = context.connection.advertised;
  return {
    throttleTimeMs: 0,
    errorCode,
    sessionId,
    responses: groupByTopic(context, outcomes),
    nodeEndpoints: tells ? [{ nodeId: context.services.nodeId, host, port }] : [],
  };
}

export const fetch = api({
  name: 'Fetch',
  versions: '4-18',
  request: FetchRequest,
  response: FetchResponse,
  oneAtATime: true,
  handle(context, request) {
    const { services, apiVersion } = context;
    const readCommitted = isReadCommitted(request);
    const nameOf = (topicId: string) => services.topics.byId(topicId)?.name;
    const session = services.fetchSessions.begin(request, apiVersion, nameOf);
    if (session.errorCode !== ErrorCode.NONE) {
      return { throttleTimeMs: 0, errorCode: session.errorCode, responses: [] };
    }
    const maxBytes = Math.min(request.maxBytes, services.config.get('fetch.max.bytes'));
    const slices = session.partitions.map((asked) => makeSlice(context, asked, readCommitted));
    // Partitions that are not there do not end a wait for others; one that was replaced does.
    const { INCONSISTENT_TOPIC_ID } = ErrorCode;
    const isReplaced = slices.some((slice) => slice.errorCode === INCONSISTENT_TOPIC_ID);
    const limits = {
      minBytes: Math.min(request.minBytes, maxBytes),
      maxBytes,
      maxWaitMs: isReplaced ? 0 : request.maxWaitMs,
      readCommitted,
      locating: Locating.of(context, request.locate),
      replicaId: apiVersion < 15 ? request.replicaId : request.replicaState.replicaId,
    };
    return new FetchRun(context, session, slices, limits, answer).start();
  },
  onError: ({ apiVersion }, request, errorCode) => ({
    throttleTimeMs: 0,
    errorCode,
    sessionId: request.sessionId,
    responses:
      apiVersion >= FIRST_WITH_TOPIC_ID
        ? []
        : request.topics.map(({ topic, topicId, partitions }) => ({
            topic,
            topicId,
            partitions: partitions.map(({ partition }) => ({
              partitionIndex: partition,
              errorCode,
              highWatermark: -1,
              abortedTransactions: [],
              records: NO_RECORDS,
            })),
          })),
  }),
});

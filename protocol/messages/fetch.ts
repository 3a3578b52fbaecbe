/**
 * Fetch, API key 1. Source: Kafka 4.4's message definitions; the tagged fields from 10000 on are our
 * own, docs/locations.md.
 */

import {
  array,
  arrayOf,
  bool,
  int8,
  int16,
  int32,
  int64,
  message,
  records,
  string,
  struct,
  uuid,
  ZERO_UUID,
} from '../schema.ts';

export const FetchRequest = message(
  'FetchRequest',
  { key: 1, type: 'request', versions: '4-18', flexible: '12+' },
  {
    clusterId: string('12+', { nullable: '12+', default: null, tag: 0, tagged: '12+' }),
    replicaId: int32('0-14', { default: -1 }),
    replicaState: struct(
      '15+',
      {
        replicaId: int32('15+', { default: -1 }),
        replicaEpoch: int64('15+', { default: -1 }),
      },
      { default: undefined, tag: 1, tagged: '15+' },
    ),
    maxWaitMs: int32('0+'),
    minBytes: int32('0+'),
    maxBytes: int32('3+', { default: 2147483647 }),
    isolationLevel: int8('4+', { default: 0 }),
    sessionId: int32('7+', { default: 0 }),
    sessionEpoch: int32('7+', { default: -1 }),
    topics: array('0+', {
      topic: string('0-12', { default: '' }),
      topicId: uuid('13+', { default: ZERO_UUID }),
      partitions: array('0+', {
        partition: int32('0+'),
        currentLeaderEpoch: int32('9+', { default: -1 }),
        fetchOffset: int64('0+'),
        lastFetchedEpoch: int32('12+', { default: -1 }),
        logStartOffset: int64('5+', { default: -1 }),
        partitionMaxBytes: int32('0+'),
        replicaDirectoryId: uuid('17+', { default: ZERO_UUID, tag: 0, tagged: '17+' }),
        highWatermark: int64('18+', { default: Number.MAX_SAFE_INTEGER, tag: 1, tagged: '18+' }),
      }),
    }),
    forgottenTopicsData: array(
      '7+',
      {
        topic: string('7-12', { default: '' }),
        topicId: uuid('13+', { default: ZERO_UUID }),
        partitions: arrayOf('int32', '7+', { default: [] }),
      },
      { default: [] },
    ),
    rackId: string('11+', { default: '' }),
    /** Asks for locations in place of persisted records; a `maxBytes` of -1 says that it is not there. */
    locate: struct(
      '12+',
      {
        maxBytes: int64('12+', { default: -1 }),
        partitionMaxBytes: int64('12+', { default: -1 }),
        hostId: string('12+', { default: '' }),
        urls: bool('12+', { default: false }),
      },
      { default: undefined, tag: 10000, tagged: '12+' },
    ),
  },
);

export const FetchResponse = message(
  'FetchResponse',
  { key: 1, type: 'response', versions: '4-18', flexible: '12+' },
  {
    throttleTimeMs: int32('1+'),
    errorCode: int16('7+', { default: 0 }),
    sessionId: int32('7+', { default: 0 }),
    responses: array('0+', {
      topic: string('0-12', { default: '' }),
      topicId: uuid('13+', { default: ZERO_UUID }),
      partitions: array('0+', {
        partitionIndex: int32('0+'),
        errorCode: int16('0+'),
        highWatermark: int64('0+'),
        lastStableOffset: int64('4+', { default: -1 }),
        logStartOffset: int64('5+', { default: -1 }),
        divergingEpoch: struct(
          '12+',
          {
            epoch: int32('12+', { default: -1 }),
            endOffset: int64('12+', { default: -1 }),
          },
          { default: undefined, tag: 0, tagged: '12+' },
        ),
        currentLeader: struct(
          '12+',
          {
            leaderId: int32('12+', { default: -1 }),
            leaderEpoch: int32('12+', { default: -1 }),
          },
          { default: undefined, tag: 1, tagged: '12+' },
        ),
        snapshotId: struct(
          '12+',
          {
            endOffset: int64('0+', { default: -1 }),
            epoch: int32('0+', { default: -1 }),
          },
          { default: undefined, tag: 2, tagged: '12+' },
        ),
        /** Where the records lie, in their place; a `length` of 0 says that it is not there. */
        location: struct(
          '12+',
          {
            hostId: string('12+', { default: '' }),
            path: string('12+', { default: '' }),
            device: int64('12+', { default: 0 }),
            inode: int64('12+', { default: 0 }),
            url: string('12+', { default: '' }),
            generation: string('12+', { default: '' }),
            segmentBaseOffset: int64('12+', { default: 0 }),
            position: int64('12+', { default: 0 }),
            length: int64('12+', { default: 0 }),
            firstOffset: int64('12+', { default: 0 }),
            nextOffset: int64('12+', { default: 0 }),
            lastEpoch: int32('12+', { default: -1 }),
          },
          { default: undefined, tag: 10000, tagged: '12+' },
        ),
        abortedTransactions: array(
          '4+',
          {
            producerId: int64('4+'),
            firstOffset: int64('4+'),
          },
          { nullable: '4+' },
        ),
        preferredReadReplica: int32('11+', { default: -1 }),
        records: records('0+', { nullable: '0+' }),
      }),
    }),
    nodeEndpoints: array(
      '16+',
      {
        nodeId: int32('16+', { default: 0 }),
        host: string('16+', { default: '' }),
        port: int32('16+', { default: 0 }),
        rack: string('16+', { nullable: '16+', default: null }),
      },
      { default: [], tag: 0, tagged: '16+' },
    ),
  },
);

/** Broker options of listeners, connections, identity, memory; Kafka's names unless `own`. */

import { addressLimitsFault } from './address-limits.ts';
import {
  bool,
  choice,
  int,
  list,
  long,
  optionalInt,
  optionalList,
  optionalText,
  text,
} from './option.ts';

export const networkOptions = {
  listeners: list(['PLAINTEXT://127.0.0.1:9092'], {
    kafkaDefault: 'PLAINTEXT://:9092',
    doc:
      'Where the broker listens, as NAME://host:port separated by commas. An empty host means ' +
      'all interfaces, port 0 lets the system choose. The name, or what ' +
      'listener.security.protocol.map makes of it, must be PLAINTEXT.',
  }),
  'advertised.listeners': optionalList({
    doc:
      'The addresses that clients are told to connect to, by listener name; those of `listeners` ' +
      'when not set. With port 0 the port that the listener got is told.',
  }),
  'listener.security.protocol.map': text(
    'SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT',
    { doc: 'The security protocol of each listener name, as NAME:PROTOCOL separated by commas.' },
  ),
  'controller.listener.names': list([], {
    doc:
      'Names of listeners that are for controllers only. The broker is its own controller, so ' +
      'listeners of these names are not opened.',
  }),
  'node.id': optionalInt({
    min: 0,
    doc: 'The id of this broker; `broker.id` when not set, and 1 when neither is.',
  }),
  'broker.id': optionalInt({ min: -1, doc: 'The older name of node.id.' }),
  'broker.rack': optionalText({ doc: 'The rack that Metadata names for this broker.' }),
  'socket.request.max.bytes': int(104857600, {
    min: 1,
    doc: 'The largest request frame. A longer one closes the connection before memory is taken.',
  }),
  'socket.listen.backlog.size': int(1024, {
    min: 1,
    kafkaDefault: '50',
    doc:
      'How many connections may wait in the system to be accepted. With too few, clients that all ' +
      'come back after a restart lose a second each.',
  }),
  'max.connections': int(2147483647, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'The largest number of connections at a time; further ones are closed at once.',
  }),
  'max.connections.per.ip': int(2147483647, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'The largest number of connections at a time from one address.',
  }),
  'max.connections.per.ip.overrides': text('', {
    dynamic: 'cluster-wide',
    fault: addressLimitsFault,
    doc:
      'Other limits than max.connections.per.ip for single addresses, as 127.0.0.1:200 separated ' +
      'by commas. Host names are not looked up.',
  }),
  'connections.first.request.max.ms': long(10000, {
    own: true,
    min: 1,
    doc: 'A connection on which no whole request has come after so long is closed.',
  }),
  'connections.max.idle.ms': long(600000, {
    doc: 'A connection on which nothing happens for so long is closed; a negative value never.',
  }),
  'max.inflight.requests.per.connection': int(64, {
    own: true,
    min: 1,
    doc:
      'How many requests of one connection may be in work at a time. Answers leave in the order ' +
      'of the requests whatever the value.',
  }),
  'max.unsent.answer.bytes.per.connection': int(4194304, {
    own: true,
    min: 1,
    doc:
      'With more bytes of answers waiting on a connection, for its client to take them or for an ' +
      'earlier answer, none of its further requests is started.',
  }),
  'memory.max.bytes': long(268435456, {
    own: true,
    min: 16777216,
    doc:
      'One budget for memory tails, flush queue, request frames, waiting answers and ' +
      'decompression. When it is short, the chunk that pins most is flushed, and producers are ' +
      'held back.',
  }),
} as const;

export const requestOptions = {
  'fetch.max.bytes': int(57671680, {
    min: 1024,
    doc: 'The largest answer to a Fetch, whatever the client asks for.',
  }),
  'max.incremental.fetch.session.cache.slots': int(1000, {
    min: 0,
    doc: 'How many incremental fetch sessions (KIP-227) are kept.',
  }),
  'max.request.partition.size.limit': int(2000, {
    min: 1,
    doc: 'How many partitions one answer to DescribeTopicPartitions holds at most.',
  }),
  'group.min.session.timeout.ms': int(6000, {
    doc: 'The shortest session timeout that a member of a classic group may ask for.',
  }),
  'group.max.session.timeout.ms': int(1800000, {
    doc: 'The longest session timeout that a member of a classic group may ask for.',
  }),
  'group.max.size': int(2147483647, {
    min: 1,
    doc: 'How many members a classic group may have.',
  }),
  'group.initial.rebalance.delay.ms': int(0, {
    kafkaDefault: '3000',
    doc: 'How long the first rebalance of an empty group waits for further members.',
  }),
  'offset.metadata.max.bytes': int(4096, {
    doc: 'The longest metadata text that may be committed with an offset.',
  }),
  'offsets.commit.timeout.ms': int(5000, {
    min: 1,
    doc: 'How long an offset commit waits to become durable before it is answered with a timeout.',
  }),
  'offsets.retention.minutes': int(10080, {
    min: 1,
    doc: 'Committed offsets of a group are kept for so long after the group became empty.',
  }),
  'offsets.retention.check.interval.ms': long(600000, {
    min: 1,
    doc: 'How often offsets that have outlived their retention are looked for.',
  }),
  'offsets.topic.num.partitions': int(50, {
    min: 1,
    doc: 'Partitions of __consumer_offsets when it is made; never change it afterwards.',
  }),
  'offsets.topic.segment.bytes': int(104857600, {
    min: 1,
    doc: 'Segment size of __consumer_offsets.',
  }),
  'producer.id.expiration.ms': int(86400000, {
    min: 1,
    dynamic: 'cluster-wide',
    doc: 'A producer that wrote nothing for so long is forgotten by the partition.',
  }),
  'metadata.log.max.record.bytes.between.snapshots': long(20971520, {
    min: 1,
    doc:
      'After so many bytes of new records in __cluster_metadata a snapshot is written and the ' +
      'log before it is dropped.',
  }),
  'metadata.log.segment.bytes': int(1073741824, {
    min: 8388608,
    doc: 'Segment size of __cluster_metadata.',
  }),
  'log.level': choice(['debug', 'info', 'warn', 'error'], 'info', {
    own: true,
    doc: 'How much the broker writes to its own log.',
  }),
  'telemetry.max.bytes': int(1048576, {
    min: 1,
    doc: 'The longest push of client metrics, as it is sent (KIP-714).',
  }),
  'auto.create.topics.enable': bool(true, {
    doc: 'Whether naming an unknown topic in a Metadata request creates it.',
  }),
  'delete.topic.enable': bool(true, { doc: 'Whether topics may be deleted.' }),
} as const;

/**
 * Broker options of the log: the defaults that topics take over, and the sizes and times of the
 * write path. Names are Kafka's unless `own`; topic-options.ts names each one's topic counterpart.
 */

import {
  bool,
  choice,
  double,
  FOREVER,
  int,
  list,
  long,
  optionalInt,
  optionalList,
  optionalLong,
  short,
} from './option.ts';

export const ONE_NODE = 'there is one node, and nothing to replicate to';
export const NO_TIERS = 'there is no remote storage';

const COMPRESSION_TYPES = ['uncompressed', 'zstd', 'lz4', 'snappy', 'gzip', 'producer'] as const;

/** Zero would drop every record at once: Kafka does not take it either. */
function retentionFault(time: number | null): string | undefined {
  return time === 0 ? 'it takes at least 1, or -1 for no limit' : undefined;
}

/** gzip knows 1 to 9, and -1 for its own default. */
function gzipLevelFault(level: number): string | undefined {
  return level === -1 || (level >= 1 && level <= 9)
    ? undefined
    : 'it takes an integer from 1 to 9, or -1';
}

export const topicDefaultOptions = {
  'num.partitions': int(1, {
    min: 1,
    doc: 'Partitions of a topic that is created without a number, or automatically.',
  }),
  'default.replication.factor': int(1, {
    inert: ONE_NODE,
    doc: 'Replicas of a topic that is created without a number; always taken as 1.',
  }),
  'offsets.topic.replication.factor': short(1, {
    kafkaDefault: '3',
    min: 1,
    inert: ONE_NODE,
    doc: 'Replicas of __consumer_offsets.',
  }),
  'log.cleanup.policy': list(['delete'], {
    values: ['compact', 'delete'],
    dynamic: 'cluster-wide',
    doc:
      'What becomes of old records: `delete` drops whole segments, `compact` keeps the newest of ' +
      'each key.',
  }),
  'compression.type': choice(COMPRESSION_TYPES, 'producer', {
    dynamic: 'cluster-wide',
    doc: 'The codec in which batches are stored; `producer` leaves them as they came.',
  }),
  'compression.gzip.level': int(-1, {
    dynamic: 'cluster-wide',
    fault: gzipLevelFault,
    doc: 'The level at which the broker compresses with gzip; -1 is the codec’s own choice.',
  }),
  'compression.lz4.level': int(9, {
    min: 1,
    max: 17,
    dynamic: 'cluster-wide',
    inert: 'the lz4 codec in use has one level',
    doc: 'The level at which the broker compresses with lz4.',
  }),
  'compression.zstd.level': int(3, {
    min: -131072,
    max: 22,
    dynamic: 'cluster-wide',
    doc: 'The level at which the broker compresses with zstd.',
  }),
  'message.max.bytes': int(1048588, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'The largest batch, as it is sent: compressed, with its header.',
  }),
  'max.decompressed.message.bytes': int(2147483639, {
    min: 1,
    max: 2147483639,
    dynamic: 'cluster-wide',
    doc: 'The largest single record after decompression, where the broker has to decompress.',
  }),
  'min.insync.replicas': int(1, {
    min: 1,
    dynamic: 'cluster-wide',
    inert: ONE_NODE,
    doc: 'How many replicas must have a record before acks=all is answered.',
  }),
  'unclean.leader.election.enable': bool(false, {
    dynamic: 'cluster-wide',
    inert: ONE_NODE,
    doc: 'Whether a replica that is behind may become the leader.',
  }),
  'log.message.timestamp.type': choice(['CreateTime', 'LogAppendTime'], 'CreateTime', {
    dynamic: 'cluster-wide',
    doc: 'Whether records keep the time their producer gave, or get that of their arrival.',
  }),
  'log.message.timestamp.before.max.ms': long(FOREVER, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'How far a CreateTime may lie before the broker’s clock.',
  }),
  'log.message.timestamp.after.max.ms': long(3600000, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'How far a CreateTime may lie after the broker’s clock.',
  }),
  'log.segment.bytes': int(1073741824, {
    min: 1048576,
    dynamic: 'cluster-wide',
    doc: 'A segment is closed before it would grow past this size.',
  }),
  'log.roll.ms': optionalLong({
    min: 1,
    dynamic: 'cluster-wide',
    doc: 'A segment is closed when its first record is so old; log.roll.hours when not set.',
  }),
  'log.roll.hours': int(168, { min: 1, doc: 'log.roll.ms in hours, where that is not set.' }),
  'log.roll.jitter.ms': optionalLong({
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'The most that is taken off at random from the time after which a segment is closed.',
  }),
  'log.roll.jitter.hours': int(0, {
    min: 0,
    doc: 'log.roll.jitter.ms in hours, where that is not set.',
  }),
  'log.index.size.max.bytes': int(10485760, {
    min: 4,
    dynamic: 'cluster-wide',
    doc: 'The largest offset index; a segment whose index is full is closed.',
  }),
  'log.index.interval.bytes': int(4096, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'About how many bytes of log one index entry stands for.',
  }),
  'log.segment.delete.delay.ms': long(60000, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'How long the files of a dropped segment stay readable before they are removed.',
  }),
  'log.preallocate': bool(false, {
    dynamic: 'cluster-wide',
    inert: 'segments grow by large writes, and the journal is preallocated anyway',
    doc: 'Whether a new segment takes its full size on the disk at once.',
  }),
  'log.flush.interval.messages': long(1, {
    kafkaDefault: '9223372036854775807',
    min: 1,
    dynamic: 'cluster-wide',
    doc:
      'After how many records the log is synced. With 1 acks=all is answered when the records ' +
      'are safe from a power cut.',
  }),
  'log.flush.interval.ms': optionalLong({
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'After how long the log is synced; log.flush.scheduler.interval.ms when not set.',
  }),
  'log.flush.scheduler.interval.ms': long(FOREVER, {
    doc: 'The sync interval where log.flush.interval.ms is not set.',
  }),
  'log.retention.bytes': long(-1, {
    dynamic: 'cluster-wide',
    doc: 'A partition larger than this drops its oldest segments; -1 is no limit.',
  }),
  'log.retention.ms': optionalLong({
    min: -1,
    fault: retentionFault,
    dynamic: 'cluster-wide',
    doc: 'Segments older than this are dropped, -1 never; log.retention.minutes when not set.',
  }),
  'log.retention.minutes': optionalInt({
    min: -1,
    fault: retentionFault,
    doc: 'log.retention.ms in minutes, where that is not set; log.retention.hours when not set.',
  }),
  'log.retention.hours': int(168, {
    min: -1,
    fault: retentionFault,
    doc: 'The retention in hours, where neither milliseconds nor minutes are set.',
  }),
  'log.cleaner.delete.retention.ms': long(86400000, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'How long the mark of a deleted key stays in a compacted log.',
  }),
  'log.cleaner.min.compaction.lag.ms': long(0, {
    min: 0,
    dynamic: 'cluster-wide',
    doc: 'How old a record must be before it may be compacted away.',
  }),
  'log.cleaner.max.compaction.lag.ms': long(FOREVER, {
    min: 1,
    dynamic: 'cluster-wide',
    doc: 'After how long a record must have become a candidate for compaction.',
  }),
  'log.cleaner.min.cleanable.ratio': double(0.5, {
    min: 0,
    max: 1,
    dynamic: 'cluster-wide',
    doc: 'The share of a compacted log that must be dirty before it is cleaned.',
  }),
  'log.local.retention.ms': long(-2, {
    min: -2,
    dynamic: 'cluster-wide',
    inert: NO_TIERS,
    doc: 'How long segments stay here after they were copied to remote storage.',
  }),
  'log.local.retention.bytes': long(-2, {
    min: -2,
    dynamic: 'cluster-wide',
    inert: NO_TIERS,
    doc: 'How many bytes stay here after they were copied to remote storage.',
  }),
  'log.remote.copy.lag.ms': long(0, {
    min: -1,
    dynamic: 'cluster-wide',
    inert: NO_TIERS,
    doc: 'How old a segment must be before it is copied to remote storage.',
  }),
  'log.remote.copy.lag.bytes': long(-1, {
    min: -1,
    dynamic: 'cluster-wide',
    inert: NO_TIERS,
    doc: 'How many bytes must lie above a segment before it is copied to remote storage.',
  }),
  'log.fetch.visibility': choice(['written', 'durable'], 'written', {
    own: true,
    dynamic: 'cluster-wide',
    doc:
      'Up to where consumers see a log: `written` survives a killed broker, `durable` a power ' +
      'cut as well.',
  }),
  'log.tail.compaction.enable': bool(false, {
    own: true,
    dynamic: 'cluster-wide',
    doc:
      'Whether a compacted topic is compacted already in memory: records that a newer one of their ' +
      'key has replaced are not written to segments. Readers at the head may then miss versions in ' +
      'between, which Kafka promises them.',
  }),
  'log.record.validation': choice(['header', 'full'], 'header', {
    own: true,
    dynamic: 'cluster-wide',
    doc:
      'How much of a compressed batch is checked: `header` reads header and checksum, `full` ' +
      'decompresses it and checks every record. Uncompressed batches are always checked in full.',
  }),
} as const;

export const storageOptions = {
  'log.dirs': optionalList({
    doc: 'The folder with the data; one, not several. log.dir when not set.',
    fault: (folders) =>
      folders !== null && folders.length !== 1
        ? 'one broker keeps its data in one folder: name exactly one'
        : undefined,
  }),
  'log.dir': list(['data'], {
    kafkaDefault: '/tmp/kafka-logs',
    doc: 'The folder with the data, where log.dirs is not set.',
    fault: (folders) =>
      folders.length === 1
        ? undefined
        : 'one broker keeps its data in one folder: name exactly one',
  }),
  'produce.hold.max.ms': int(30000, {
    own: true,
    min: 1,
    doc:
      'How long a Produce is held back when there is no room for it; then it is answered ' +
      'KAFKA_STORAGE_ERROR.',
  }),
  'tail.chunk.bytes': int(1048576, {
    own: true,
    min: 65536,
    max: 67108864,
    doc: 'The size to which data of a partition grows in memory before its segment gets it.',
  }),
  'tail.chunk.max.ms': int(10000, {
    own: true,
    min: 1,
    doc: 'After how long data in memory is written to its segment though the chunk is not full.',
  }),
  'tail.max.bytes': long(134217728, {
    own: true,
    min: 1048576,
    doc: 'What all open chunks together may take; above it the largest are written to segments.',
  }),
  'flush.queue.bytes': long(67108864, {
    own: true,
    min: 1048576,
    doc:
      'The size of the queue of chunks on their way to segments. When it is full, producers are ' +
      'held back.',
  }),
  'flush.queue.reserve.bytes': long(16777216, {
    own: true,
    min: 1048576,
    doc: 'What internal topics may take beyond flush.queue.bytes, so that nothing holds them back.',
  }),
  'flush.parallelism': int(2, {
    own: true,
    min: 1,
    max: 64,
    doc:
      'How many partitions are written to segments at the same time, and synced; one more for each ' +
      'eight that wait, up to 6.',
  }),
  'journal.file.bytes': long(67108864, {
    own: true,
    min: 1048576,
    doc: 'The size of one journal file.',
  }),
  'journal.max.bytes': long(536870912, {
    own: true,
    min: 4194304,
    doc:
      'The size of the whole journal, with the files that are kept for the next use. At half of it ' +
      'the chunks that pin its oldest file are flushed.',
  }),
  'journal.write.sync.max.bytes': long(262144, {
    own: true,
    min: 0,
    doc: 'Groups up to this size are written in the turn of the event loop, larger ones aside.',
  }),
  'journal.sync.max.ms': int(1000, {
    own: true,
    min: 1,
    doc: 'After how long what was written to the journal is synced when nobody waits for it.',
  }),
  'log.retention.check.interval.ms': long(300000, {
    min: 1,
    doc: 'How often it is looked for segments that are too old or too much.',
  }),
  'log.flush.offset.checkpoint.interval.ms': int(60000, {
    min: 0,
    doc: 'How often the recovery points are written down.',
  }),
  'journal.bypass.bytes': long(524288, {
    own: true,
    min: 0,
    doc:
      'What a partition got in one turn, when it is at least this, is written to its segment at ' +
      'once, not to the journal; an eighth of it is enough in a turn that brought twice this in all.',
  }),
  'offset.lease.records': int(262144, {
    own: true,
    min: 1024,
    max: 1073741824,
    doc:
      'How many offsets are recorded ahead as possibly served, so that none ever names two ' +
      'records even after a power cut.',
  }),
} as const;

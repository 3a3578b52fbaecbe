/** What a slice request asks for: its parameters, its partition, and the offset it begins at. */

import type { RequestContext } from '../broker/api.ts';
import type { Partition } from '../broker/partition.ts';
import { topicNameFault } from '../broker/topic-names.ts';
import { choice, integer, text, type Values } from './parameters.ts';
import { Problem } from './problem.ts';

const MAX_INT32 = 2 ** 31 - 1;

/** Where a slice begins: at an offset, an end, or a time in milliseconds since 1970. */
export type From = 'earliest' | 'latest' | { readonly offset: number } | { readonly time: number };

const ISO_TIME = /^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+ -]\d\d:?\d\d)?)?$/i;

function parseFrom(value: string): From | undefined {
  if (value === 'earliest' || value === 'latest') return value;
  if (/^\d{1,30}$/.test(value)) return { offset: Number(value) };
  if (!ISO_TIME.test(value)) return undefined;
  // A plus sign that was not escaped has become a space.
  const time = Date.parse(value.replace(/ (?=\d\d:?\d\d$)/, '+').replace(' ', 'T'));
  return Number.isNaN(time) ? undefined : { time };
}

export const sliceParameters = {
  topic: text({
    in: 'path',
    doc: 'Name of the topic.',
    pattern: '^[a-zA-Z0-9._-]{1,249}$',
    takes: 'a topic name',
    parse: (value) => value,
  }),
  partition: integer({
    in: 'path',
    doc: 'Number of the partition.',
    minimum: 0,
    maximum: MAX_INT32,
  }),
  from: text<From>({
    in: 'query',
    doc: 'An offset, `earliest`, `latest`, or an ISO 8601 time: the first record at or after it.',
    pattern: '^(earliest|latest|[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}.*)$',
    takes: 'an offset, earliest, latest, or an ISO 8601 time',
    parse: parseFrom,
  }),
  min_bytes: integer({
    in: 'query',
    doc: 'Wait until there are so many bytes.',
    default: 1,
    minimum: 0,
    maximum: MAX_INT32,
  }),
  max_bytes: integer({
    in: 'query',
    doc:
      'Give about so many bytes; the first batch also when it is larger. 0 stands for 1 MiB of ' +
      'records, and for as much as slice.location.max.bytes allows of what is located.',
    default: 0,
    minimum: 0,
    maximum: MAX_INT32,
  }),
  timeout_ms: integer({
    in: 'query',
    doc: 'Wait so long for `min_bytes`, then answer with what there is.',
    default: 0,
    minimum: 0,
    maximum: MAX_INT32,
  }),
  isolation: choice(['read_uncommitted', 'read_committed'], {
    in: 'query',
    doc: '`read_committed` ends at the last stable offset.',
    default: 'read_uncommitted',
  }),
  follow: choice(['false', 'true'], {
    in: 'query',
    doc: 'Of `application/x-ndjson` only: keep the answer open and add lines as they are produced.',
    default: 'false',
  }),
} as const;

export type SliceValues = Values<typeof sliceParameters>;

/** The partition that is meant; throws Problem when it is not there, or not to be read. */
export function findPartition(context: RequestContext, name: string, index: number): Partition {
  const { topics, authorizer } = context.services;
  const fault = topicNameFault(name);
  if (fault !== undefined) throw new Problem('INVALID_TOPIC_EXCEPTION', fault);
  if (!authorizer.mayRead(context, name)) {
    throw new Problem('TOPIC_AUTHORIZATION_FAILED', `topic ${name} is not to be read`);
  }
  const topic = topics.get(name);
  if (topic === undefined) {
    throw new Problem('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`);
  }
  const partition = topic.partitions[index];
  if (partition === undefined) {
    const count = topic.partitions.length;
    throw new Problem(
      'UNKNOWN_TOPIC_OR_PARTITION',
      `topic ${name} has partitions 0 to ${count - 1}`,
    );
  }
  return partition;
}

/** The offset to begin at. A time after all records is the end; so is `latest`. */
export async function resolveFrom(
  { log }: Partition,
  from: From,
  readCommitted: boolean,
): Promise<number> {
  if (from === 'earliest') return log.logStartOffset;
  const end = readCommitted ? log.lastStableOffset : log.highWatermark;
  if (from === 'latest') return end;
  if ('time' in from) return (await log.offsetForTime(from.time, end))?.offset ?? end;
  const { offset } = from;
  if (offset < log.logStartOffset || offset > log.endOffset) {
    const range = `[${log.logStartOffset}, ${log.endOffset}]`;
    throw new Problem('OFFSET_OUT_OF_RANGE', `offset ${offset} is not in ${range}`);
  }
  return offset;
}

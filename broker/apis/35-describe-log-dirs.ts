/**
 * DescribeLogDirs, API key 35, versions 1-5: the one data folder, with the size of each partition.
 * Its logs are never behind another's, so that no offset lags. A volume that does not tell its size
 * is one that cannot be used: KAFKA_STORAGE_ERROR, as in Kafka.
 *
 * Version 2: flexible. Version 3: error code of the whole answer. Version 4: sizes of the volume
 * (KIP-827). Version 5: cordoned folders, of which there are none. Source: KIP-113.
 */

import path from 'node:path';
import { ErrorCode } from '../../protocol/errors.ts';
import {
  DescribeLogDirsRequest,
  DescribeLogDirsResponse,
} from '../../protocol/messages/describe-log-dirs.ts';
import type { Decoded, Input } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import type { Partition } from '../partition.ts';
import type { Services } from '../services.ts';
import type { Topic } from '../topics.ts';

type Request = Decoded<typeof DescribeLogDirsRequest>;
type TopicAnswer = Input<typeof DescribeLogDirsResponse>['results'][number]['topics'][number];

function describe(topic: Topic, partitions: Iterable<Partition>): TopicAnswer {
  return {
    name: topic.name,
    partitions: Array.from(partitions, ({ index, log }) => ({
      partitionIndex: index,
      partitionSize: log.sizeBytes,
      offsetLag: 0,
      isFutureKey: false,
    })),
  };
}

/** What is there of what is asked for; what is not there is left out. */
function topicsOf({ topics }: Services, request: Request): TopicAnswer[] {
  if (request.topics === null) {
    return Array.from(topics.all(), (topic) => describe(topic, topic.partitions));
  }
  const wanted = new Map<Topic, Set<Partition>>();
  for (const { topic: name, partitions } of request.topics) {
    const topic = topics.get(name);
    if (topic === undefined) continue;
    const found = wanted.get(topic) ?? new Set();
    for (const index of partitions) {
      const partition = topic.partitions[index];
      if (partition !== undefined) found.add(partition);
    }
    if (found.size > 0) wanted.set(topic, found);
  }
  return Array.from(wanted, ([topic, partitions]) => describe(topic, partitions));
}

export const describeLogDirs = api({
  name: 'DescribeLogDirs',
  versions: '1-5',
  request: DescribeLogDirsRequest,
  response: DescribeLogDirsResponse,
  async handle({ services }, request) {
    const logDir = path.resolve(services.config.dataDir);
    const topics = topicsOf(services, request);
    const { env } = services;
    try {
      const volume = await env.disk.volume?.(logDir);
      const folder = { errorCode: ErrorCode.NONE, logDir, topics, ...volume };
      return { throttleTimeMs: 0, results: [folder] };
    } catch (error) {
      env.log.warn({ logDir, err: error }, 'the volume of the data does not tell its size');
      const folder = { errorCode: ErrorCode.KAFKA_STORAGE_ERROR, logDir, topics: [] };
      return { throttleTimeMs: 0, results: [folder] };
    }
  },
  onError: (_context, _request, errorCode) => ({ throttleTimeMs: 0, errorCode, results: [] }),
});

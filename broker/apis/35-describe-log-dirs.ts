/**
 * DescribeLogDirs, API key 35, versions 1-5: the one data folder, with the size of each partition.
 * Its logs are never behind another's, so that no offset lags. The size of the volume is not told
 * (-1, unknown).
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
  handle({ services }, request) {
    const folder = {
      errorCode: ErrorCode.NONE,
      logDir: path.resolve(services.config.dataDir),
      topics: topicsOf(services, request),
    };
    return { throttleTimeMs: 0, results: [folder] };
  },
  onError: (_context, _request, errorCode) => ({ throttleTimeMs: 0, errorCode, results: [] }),
});

/**
 * AlterReplicaLogDirs, API key 34, versions 1-2: where replicas are to lie. There is one folder: a
 * replica lies there already, and no other folder is found. Of a partition that is named twice the
 * last folder counts. Version 2: flexible.
 * Source: KIP-113; Kafka's ReplicaManager.alterReplicaLogDirs.
 */

import path from 'node:path';
import { ErrorCode } from '../../protocol/errors.ts';
import {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponse,
} from '../../protocol/messages/alter-replica-log-dirs.ts';
import { api } from '../api.ts';
import type { Services } from '../services.ts';

/** `<topic>-<partition>.<32 hexadecimal digits>-future`: Kafka's name for a replica on its way. */
const FUTURE_NAME_CHARACTERS = '-.'.length + 32 + '-future'.length;
const MAX_NAME_CHARACTERS = 255;

function codeOf({ config, topics }: Services, folder: string, name: string, index: number): number {
  if (name.length + String(index).length + FUTURE_NAME_CHARACTERS > MAX_NAME_CHARACTERS) {
    return ErrorCode.INVALID_TOPIC_EXCEPTION;
  }
  if (folder !== path.resolve(config.dataDir)) return ErrorCode.LOG_DIR_NOT_FOUND;
  if (topics.partition(name, index) === undefined) return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION;
  return ErrorCode.NONE;
}

export const alterReplicaLogDirs = api({
  name: 'AlterReplicaLogDirs',
  versions: '1-2',
  request: AlterReplicaLogDirsRequest,
  response: AlterReplicaLogDirsResponse,
  handle({ services }, { dirs }) {
    const topics = new Map<string, Map<number, number>>();
    for (const { path: folder, topics: ofFolder } of dirs) {
      for (const { name, partitions } of ofFolder) {
        const codes = topics.get(name) ?? new Map<number, number>();
        topics.set(name, codes);
        for (const index of partitions) codes.set(index, codeOf(services, folder, name, index));
      }
    }
    return {
      results: Array.from(topics, ([topicName, codes]) => ({
        topicName,
        partitions: Array.from(codes, ([partitionIndex, errorCode]) => {
          return { partitionIndex, errorCode };
        }),
      })),
    };
  },
  onError: (_context, { dirs }, errorCode) => ({
    results: dirs.flatMap(({ topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode })),
      })),
    ),
  }),
});

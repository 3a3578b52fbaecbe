/** What a topic's configuration asks of the batches that are produced to it. */

import { Codec } from '../protocol/record-batch.ts';
import type { TopicConfig } from './config/topic-config.ts';
import type { ValidationRules } from './validate.ts';

/** What a compressed batch may become, unless the topic takes larger batches than a quarter of it. */
const DECOMPRESSED_BATCH_BYTES = 64 * 1024 * 1024;
const DECOMPRESSED_BATCH_FACTOR = 4;

/** What a batch of so many bytes may become when it is decompressed. */
export function decompressedBatchBytes(compressedBytes: number): number {
  return Math.max(DECOMPRESSED_BATCH_BYTES, compressedBytes * DECOMPRESSED_BATCH_FACTOR);
}

/** The rules for a topic; to be asked for by `config.derived(validationRules)`, which keeps them. */
export function validationRules(config: TopicConfig): ValidationRules {
  const maxMessageBytes = config.get('max.message.bytes');
  const logAppendTime = config.get('message.timestamp.type') === 'LogAppendTime';
  return {
    maxMessageBytes,
    segmentBytes: config.get('segment.bytes'),
    keyRequired: config.get('cleanup.policy').includes('compact'),
    logAppendTime,
    checksTimestamps: !logAppendTime,
    timestampBeforeMaxMs: config.get('message.timestamp.before.max.ms'),
    timestampAfterMaxMs: config.get('message.timestamp.after.max.ms'),
    full: config.get('record.validation') === 'full',
    target: targetOf(config),
    maxRecordBytes: config.get('max.decompressed.message.bytes'),
    maxDecompressedBytes: decompressedBatchBytes(maxMessageBytes),
  };
}

function targetOf(config: TopicConfig): ValidationRules['target'] {
  const type = config.get('compression.type');
  switch (type) {
    case 'producer':
      return undefined;
    case 'uncompressed':
      return { codec: Codec.none, level: undefined };
    case 'gzip':
      return { codec: Codec.gzip, level: config.get('compression.gzip.level') };
    case 'zstd':
      return { codec: Codec.zstd, level: config.get('compression.zstd.level') };
    default:
      return { codec: Codec[type], level: undefined };
  }
}

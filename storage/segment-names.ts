/**
 * Names of the files in a partition's folder: the base offset in twenty digits and what it is.
 * Source: Kafka's LogFileUtils, LocalLog.
 */

export const LOG_SUFFIX = '.log';
export const INDEX_SUFFIX = '.index';
export const TIME_INDEX_SUFFIX = '.timeindex';
export const TXN_INDEX_SUFFIX = '.txnindex';
/** The keys that the segment may have; ours, Kafka passes it over. */
export const KEY_FILTER_SUFFIX = '.tailrace-filter';
export const SNAPSHOT_SUFFIX = '.snapshot';
/** Marks a file that is gone for the log and is removed after `file.delete.delay.ms`. */
export const DELETED_SUFFIX = '.deleted';
/** A cleaner's work that was not finished. */
export const CLEANED_SUFFIX = '.cleaned';
/** A cleaner's finished work on its way to replace segments. */
export const SWAP_SUFFIX = '.swap';
/** Marks the folder of a deleted partition. */
export const DELETED_FOLDER_SUFFIX = '-delete';
/** Marks the folder of a partition that no topic has. */
export const STRAY_FOLDER_SUFFIX = '-stray';

const MAX_NAME_BYTES = 255;
const OFFSET_DIGITS = 20;

/** `00000000000000000042.log` and the like. */
export function segmentFileName(offset: number, suffix: string): string {
  return String(offset).padStart(OFFSET_DIGITS, '0') + suffix;
}

/** The offset that a file name begins with; undefined where it begins otherwise. */
export function offsetOfName(name: string): number | undefined {
  const match = /^(\d{20})\./.exec(name);
  if (match === null) return undefined;
  const offset = Number(match[1]);
  return Number.isSafeInteger(offset) ? offset : undefined;
}

/** Folder of a partition within the data folder. */
export function partitionFolderName(topic: string, partition: number): string {
  return `${topic}-${partition}`;
}

/** Topic and partition of a folder's name; undefined where it is not a partition's. */
export function parsePartitionFolderName(
  name: string,
): { topic: string; partition: number } | undefined {
  const match = /^([a-zA-Z0-9._-]{1,249})-(0|[1-9]\d{0,9})$/.exec(name);
  if (match === null) return undefined;
  return { topic: match[1]!, partition: Number(match[2]) };
}

/** Name that a partition's folder gets when it is deleted; `id` is 16 random bytes. */
export function deletedFolderName(topic: string, partition: number, id: Buffer): string {
  return markedFolderName(topic, partition, id, DELETED_FOLDER_SUFFIX);
}

/** Name that a folder gets which belongs to no topic. */
export function strayFolderName(topic: string, partition: number, id: Buffer): string {
  return markedFolderName(topic, partition, id, STRAY_FOLDER_SUFFIX);
}

function markedFolderName(topic: string, partition: number, id: Buffer, mark: string): string {
  const suffix = `-${partition}.${id.toString('hex')}${mark}`;
  return topic.slice(0, MAX_NAME_BYTES - suffix.length) + suffix;
}

export function isDeletedFolderName(name: string): boolean {
  return /^\S+-\d+\.[0-9a-f]{32}-delete$/.test(name);
}

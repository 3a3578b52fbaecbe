/**
 * Partition folders that belong to no topic: of topics that were deleted, or put there by hand under
 * another topic's id. They are kept under another name, so that nothing is lost and a new topic of
 * the name does not meet the files of the old one.
 * Source: Kafka's LogManager, which does the same.
 */

import path from 'node:path';
import { replaceFile } from './checkpoint.ts';
import type { Env } from './env.ts';
import {
  formatPartitionMetadata,
  PARTITION_METADATA_FILE,
  parsePartitionMetadata,
} from './meta-properties.ts';
import { parsePartitionFolderName, strayFolderName } from './segment-names.ts';

/** `topicIds`: of the known topics, by name. Gives the names of the folders set aside. */
export async function setStraysAside(
  env: Env,
  dataDir: string,
  names: Iterable<string>,
  topicIds: ReadonlyMap<string, string>,
): Promise<Set<string>> {
  const { log } = env;
  const disk = env.disk.blocking?.() ?? env.disk;
  const aside = new Set<string>();
  for (const name of names) {
    const parsed = parsePartitionFolderName(name);
    if (parsed === undefined) continue;
    const folder = path.join(dataDir, name);
    const expected = topicIds.get(parsed.topic);
    const contents = await disk.readFile(path.join(folder, PARTITION_METADATA_FILE));
    const found = contents && parsePartitionMetadata(contents);
    // A folder without an id was made by hand, or a power cut took it: the name decides.
    if (expected !== undefined && found === undefined) {
      await replaceFile(
        disk,
        path.join(folder, PARTITION_METADATA_FILE),
        formatPartitionMetadata(expected),
      );
      continue;
    }
    if (expected !== undefined && found === expected) continue;
    const target = path.join(
      dataDir,
      strayFolderName(parsed.topic, parsed.partition, env.random.bytes(16)),
    );
    await disk.rename(folder, target);
    aside.add(name);
    log.warn({ folder, target, expected, found }, 'a folder of no known topic was set aside');
  }
  if (aside.size > 0) await disk.syncDir(dataDir);
  return aside;
}

/** Our own verification over a data folder, of whichever broker. */

import { makeUncompress } from '../../cli/inspect/source.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { readDataFolder } from '../../storage/inspect/data-folder.ts';
import { type Finding, Findings } from '../../storage/inspect/findings.ts';
import { verifyLog } from '../../storage/inspect/verify-log.ts';
import { nodeDisk } from '../../storage/node-disk.ts';

export interface VerifiedFolder {
  readonly damages: readonly Finding[];
  readonly batches: number;
}

/** Verifies all logs of a folder whose broker has stopped cleanly. */
export async function verifyFolder(dataDir: string): Promise<VerifiedFolder> {
  const findings = new Findings();
  const disk = nodeDisk();
  const folder = await readDataFolder(disk, dataDir, findings);
  const tools = {
    disk,
    buffers: new BufferPool(1 << 20),
    uncompress: await makeUncompress(),
    findings,
    onProgress: () => {},
    isWhole: folder.wasStoppedCleanly,
  };
  let batches = 0;
  for (const log of folder.logs) batches += (await verifyLog(tools, log)).batches;
  return { damages: findings.all.filter(({ kind }) => kind === 'damage'), batches };
}

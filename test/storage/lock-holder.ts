/**
 * A process that locks a data folder, says so, and keeps it until it is ended or told to let go:
 * started by folder-lock.test.ts. Arguments: the folder, the boot id, the host name.
 */

import { randomBytes } from 'node:crypto';
import type { Env } from '../../storage/env.ts';
import { lockFolder } from '../../storage/folder-lock.ts';
import { nodeDisk } from '../../storage/node-disk.ts';

export function realEnv(bootId: string, hostName: string): Env {
  const silent = () => {};
  return {
    clock: {
      now: () => Date.now(),
      monotonic: () => performance.now(),
      setTimer(delayMs, fire, keepsAlive = false) {
        const handle = setTimeout(fire, delayMs);
        if (!keepsAlive) handle.unref();
        return { cancel: () => clearTimeout(handle) };
      },
      defer: (run) => {
        setImmediate(run);
      },
    },
    disk: nodeDisk(),
    random: { bytes: randomBytes, fraction: Math.random },
    host: { bootId, hostName, processId: process.pid },
    log: { debug: silent, info: silent, warn: silent, error: silent },
  };
}

const [, script, folder, bootId, hostName] = process.argv;
if (script?.includes('lock-holder') && folder && bootId && hostName) {
  try {
    const lock = await lockFolder(realEnv(bootId, hostName), folder);
    process.stdout.write('locked\n');
    process.stdin.once('data', async () => {
      await lock.release();
      process.exit(0);
    });
  } catch (error) {
    process.stdout.write(`${(error as Error).name}: ${(error as Error).message}\n`);
    process.exit(3);
  }
}

/** What a broker's process has used, from /proc; nothing is told where there is no /proc. */

import { readFileSync } from 'node:fs';

/** Linux counts process time in hundredths of a second on every platform that Node runs on. */
const TICKS_PER_SECOND = 100;
const KIBIBYTES_PER_MEBIBYTE = 1024;

export interface ProcessStats {
  /** User and system time of all threads so far, or of the one that was asked for. */
  readonly cpuSeconds: number;
  readonly residentMebibytes: number;
}

export function processStats(pid: number | undefined, thread?: number): ProcessStats | undefined {
  if (pid === undefined || process.platform !== 'linux') return undefined;
  const task = thread === undefined ? '' : `/task/${thread}`;
  const stat = readFileSync(`/proc/${pid}${task}/stat`, 'utf8');
  // The command's name is in brackets and may hold anything, spaces too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? '0';
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    residentMebibytes: Number(resident) / KIBIBYTES_PER_MEBIBYTE,
  };
}

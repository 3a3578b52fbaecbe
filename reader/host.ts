/** The id of the host that this process runs on, as docs/locations.md says it. */

import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { hostIdOf } from '../protocol/host-id.ts';

const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';

let known: string | undefined;

export function hostId(): string {
  known ??= hostIdOf(bootId(), os.hostname());
  return known;
}

function bootId(): string {
  if (existsSync(BOOT_ID_FILE)) return readFileSync(BOOT_ID_FILE, 'utf8').trim();
  return `booted-${Math.round((Date.now() / 1000 - os.uptime()) / 60)}`;
}

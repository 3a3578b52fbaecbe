/** This host's name among hosts, as the brokers of it know it. */

import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { hostIdOf } from '../protocol/host-id.ts';

export function hostId(): string {
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return hostIdOf(bootId, hostname());
}

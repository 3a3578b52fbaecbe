/**
 * What names a host for those who may read its files: two processes with the same id run under one
 * kernel, and may hope to find the same files, which device and inode must confirm.
 *
 * On Linux it is made of the kernel's boot id alone, so that containers that share a volume know
 * each other whatever their host names. Elsewhere, where the boot id is only a guess from the time
 * that the system is up, the host name stands beside it. Hashed, since it is told to clients.
 */

import { createHash } from 'node:crypto';

/** Linux' boot id, a UUID; what other systems give is taken for a guess. */
const LINUX_BOOT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ID_DIGITS = 32;

/** 32 hex digits: the first half of the SHA-256 of `tailrace-host`, a line feed, and what names it. */
export function hostIdOf(bootId: string, hostName: string): string {
  const name = LINUX_BOOT_ID.test(bootId) ? bootId : `${bootId}\n${hostName}`;
  return createHash('sha256').update(`tailrace-host\n${name}`).digest('hex').slice(0, ID_DIGITS);
}

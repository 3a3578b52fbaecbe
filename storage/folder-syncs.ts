/**
 * Syncs of folders whose names many logs wait for: who asks while a folder is being synced shares the
 * next sync with all who ask till then, since the one that runs may have begun too early for them.
 */

import type { Disk } from './env.ts';

interface Syncing {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

export class FolderSyncs {
  readonly #disk: Disk;
  readonly #syncing = new Map<string, Syncing>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Resolves when the names that were in the folder at the call are durable. */
  sync(folder: string): Promise<void> {
    const syncing = this.#syncing.get(folder);
    if (syncing === undefined) return this.#begin(folder);
    const begin = () => this.#begin(folder);
    syncing.next ??= syncing.running.then(begin, begin);
    return syncing.next;
  }

  #begin(folder: string): Promise<void> {
    const syncing: Syncing = { running: this.#disk.syncDir(folder), next: undefined };
    this.#syncing.set(folder, syncing);
    syncing.running = syncing.running.finally(() => {
      // When another one waits, it begins now.
      if (syncing.next === undefined) this.#syncing.delete(folder);
    });
    return syncing.running;
  }
}

/**
 * Bounds what clients make the coordinator remember: groups, members with what they joined with,
 * and committed offsets, in estimated bytes. New state is refused at the limit; what was recorded
 * before (at loading, or in flight) is counted in any case.
 */

/** What an object, its map entry and its timers come to beside its texts and buffers. */
const OBJECT_BYTES = 200;

export class StateBudget {
  readonly limitBytes: number;
  #usedBytes = 0;

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  get isFull(): boolean {
    return this.#usedBytes >= this.limitBytes;
  }

  take(sizeBytes: number): void {
    this.#usedBytes += sizeBytes;
  }

  give(sizeBytes: number): void {
    this.#usedBytes -= sizeBytes;
  }
}

/** Estimate of one remembered thing with its texts, at two bytes a character. */
export function stateBytes(...texts: readonly (string | null)[]): number {
  let bytes = OBJECT_BYTES;
  for (const text of texts) bytes += text === null ? 0 : text.length * 2;
  return bytes;
}

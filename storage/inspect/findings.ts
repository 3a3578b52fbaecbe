/** What an inspection of files found: each with the file, the position where there is one, the reason. */

/** `damage` is not what was written; a `note` explains something that a start will deal with. */
export interface Finding {
  readonly kind: 'damage' | 'note';
  readonly file: string;
  /** Byte in the file; undefined where the file as a whole is meant. */
  readonly position: number | undefined;
  readonly reason: string;
}

/** A damaged disk can have a finding for every batch: so many are kept, the others counted. */
const MOST_KEPT = 10_000;

/** Collects findings up to a number of damages, at which an inspection stops. */
export class Findings {
  readonly all: Finding[] = [];
  /** Damages beyond those in `all`. */
  leftOut = 0;
  readonly #limit: number;
  #damages = 0;

  /** `limit`: the number of damages at which `isFull` becomes true. */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit;
  }

  get damages(): number {
    return this.#damages;
  }

  get isFull(): boolean {
    return this.#damages >= this.#limit;
  }

  damage(file: string, position: number | undefined, reason: string): void {
    if (this.isFull) return;
    this.#damages++;
    if (this.all.length < MOST_KEPT) this.all.push({ kind: 'damage', file, position, reason });
    else this.leftOut++;
  }

  note(file: string, position: number | undefined, reason: string): void {
    if (this.all.length < MOST_KEPT) this.all.push({ kind: 'note', file, position, reason });
  }
}

/**
 * How far a log is written, durable and persisted, over its two ways to the disk: the journal, in
 * order, and detours, which are ranges that skip the journal and go to the segments together with
 * all that lies before them.
 *
 * `written` and `durable` are contiguous prefixes. Where readers see what is not durable yet, nothing
 * counts as written beyond the offset lease: offsets there might be given out again after a power cut.
 */

interface Detour {
  readonly base: number;
  readonly end: number;
  isWritten: boolean;
}

export class LogMarks {
  persisted: number;
  durable: number;
  written: number;
  #journalWritten: number;
  #journalDurable: number;
  #leased: number;
  #detours: Detour[] = [];

  /** All is persisted up to `end`. */
  constructor(end: number) {
    this.persisted = end;
    this.durable = end;
    this.written = end;
    this.#journalWritten = end;
    this.#journalDurable = end;
    this.#leased = end;
  }

  get leased(): number {
    return this.#leased;
  }

  /** A range that the journal will not have. What of it is persisted already is left out. */
  detour(base: number, end: number): void {
    if (end <= this.persisted) return;
    this.#detours.push({ base: Math.max(base, this.persisted), end, isWritten: false });
  }

  /** Some of what lies below the offset goes to the segments and not to the journal. */
  hasDetourBelow(offset: number): boolean {
    return this.#detours.some(({ base }) => base < offset);
  }

  journalWrote(end: number): void {
    this.#journalWritten = Math.max(this.#journalWritten, end);
  }

  journalSynced(end: number): void {
    this.#journalDurable = Math.max(this.#journalDurable, end);
  }

  /** The segments have everything below the offset, not yet synced. */
  segmentsWrote(end: number): void {
    for (const detour of this.#detours) if (detour.end <= end) detour.isWritten = true;
  }

  segmentsSynced(end: number): void {
    this.persisted = end;
    this.#detours = this.#detours.filter((detour) => detour.end > end);
  }

  lease(end: number): void {
    this.#leased = Math.max(this.#leased, end);
  }

  /** Gives up what is left of the lease; everything must be durable. */
  endLease(): void {
    this.#leased = this.durable;
  }

  /** Works the marks out anew; none ever falls. `isLeased`: readers see what is not durable. */
  update(isLeased: boolean): void {
    const durable = Math.max(this.#durablePrefix(), this.persisted);
    const written = Math.max(this.#writtenPrefix(), durable);
    this.durable = Math.max(this.durable, durable);
    const limit = isLeased ? Math.max(this.#leased, this.durable) : written;
    this.written = Math.max(this.written, Math.min(written, limit), this.durable);
  }

  #durablePrefix(): number {
    const first = this.#detours[0];
    return first === undefined ? this.#journalDurable : Math.min(this.#journalDurable, first.base);
  }

  #writtenPrefix(): number {
    let reached = this.#journalWritten;
    for (const detour of this.#detours) {
      if (!detour.isWritten) return Math.min(reached, detour.base);
      // What a detour wrote went to the segments with all that lay before it.
      reached = Math.max(reached, detour.end);
    }
    return reached;
  }
}

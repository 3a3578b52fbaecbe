/** What a run of the fuzzer has seen: counts, the worst turn, and each kind of fault once. */

const MOST_SHOWN_BYTES = 400;

export interface Finding {
  /** What kind of fault; faults of one kind are counted, and the first is shown. */
  readonly kind: string;
  readonly detail: string;
  /** The bytes that were sent last before it was seen, and the seed to see it again with. */
  readonly seed: number;
  readonly bytes: Buffer | undefined;
}

export class Findings {
  frames = 0;
  answers = 0;
  closed = 0;
  worstTurnMs = 0;
  worstTurn = '';
  cleanAsks = 0;
  worstCleanMs = 0;
  peakResidentBytes = 0;
  readonly byTarget = new Map<string, number>();
  readonly #byKind = new Map<string, { first: Finding; count: number }>();

  add(finding: Finding): void {
    const known = this.#byKind.get(finding.kind);
    if (known === undefined) this.#byKind.set(finding.kind, { first: finding, count: 1 });
    else known.count++;
  }

  count(target: string, frames: number): void {
    this.frames += frames;
    this.byTarget.set(target, (this.byTarget.get(target) ?? 0) + frames);
  }

  noteTurn(tookMs: number, what: string): void {
    if (tookMs <= this.worstTurnMs) return;
    this.worstTurnMs = tookMs;
    this.worstTurn = what;
  }

  noteMemory(): void {
    this.peakResidentBytes = Math.max(this.peakResidentBytes, process.memoryUsage.rss());
  }

  /** Each fault in a few lines; none when all went well. */
  get faults(): string[] {
    return [...this.#byKind].map(([kind, { first, count }]) => {
      const shown = first.bytes?.subarray(0, MOST_SHOWN_BYTES).toString('hex') ?? '';
      return `${kind} (${count} times, first with seed ${first.seed}): ${first.detail}\n  ${shown}`;
    });
  }

  toString(): string {
    const targets = [...this.byTarget].map(([name, count]) => `${name} ${count}`).join(', ');
    const memory = Math.round(this.peakResidentBytes / 1024 ** 2);
    return [
      `${this.frames} frames (${targets}), ${this.answers} answers, ${this.closed} closed`,
      `worst turn ${this.worstTurnMs.toFixed(1)} ms of CPU (${this.worstTurn})`,
      `clean client asked ${this.cleanAsks} times, worst ${this.worstCleanMs.toFixed(1)} ms`,
      `peak resident ${memory} MB, ${this.#byKind.size} kinds of faults`,
    ].join('\n');
  }
}

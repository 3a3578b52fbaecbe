/** Those who wait until a mark of a log reaches an offset, answered in offset order. */

/** Called once: without an error when the mark has reached the offset. */
export type MarkDone = (error?: Error) => void;

interface Waiter {
  readonly end: number;
  readonly done: MarkDone;
}

export class MarkWaiters {
  #waiters: Waiter[] = [];
  #head = 0;

  get size(): number {
    return this.#waiters.length - this.#head;
  }

  /** Nearly always the offset is the highest so far; a repeated batch waits on an earlier one. */
  add(end: number, done: MarkDone): void {
    let at = this.#waiters.length;
    while (at > this.#head && this.#waiters[at - 1]!.end > end) at--;
    if (at === this.#waiters.length) this.#waiters.push({ end, done });
    else this.#waiters.splice(at, 0, { end, done });
  }

  /** Answers all that wait for the mark or less. */
  reach(mark: number): void {
    while (this.#head < this.#waiters.length) {
      const waiter = this.#waiters[this.#head]!;
      if (waiter.end > mark) break;
      this.#head++;
      waiter.done();
    }
    this.#trim();
  }

  /** Answers all that wait for more than the offset with an error. */
  failAbove(offset: number, error: Error): void {
    const failed: Waiter[] = [];
    while (this.size > 0 && this.#waiters.at(-1)!.end > offset) failed.push(this.#waiters.pop()!);
    for (const waiter of failed.reverse()) waiter.done(error);
  }

  #trim(): void {
    if (this.#head === this.#waiters.length) {
      this.#waiters.length = 0;
      this.#head = 0;
    } else if (this.#head > 1024) {
      this.#waiters = this.#waiters.slice(this.#head);
      this.#head = 0;
    }
  }
}

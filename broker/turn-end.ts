/**
 * Work for the end of what runs at present, when all it calls has returned: answers leave then, all
 * of a connection in one write. One entry in the queue of microtasks serves all connections that
 * have something, as each costs several objects.
 */

export interface Flushed {
  flush(): void;
}

export class TurnEnd {
  private waiting: Flushed[] = [];
  private spare: Flushed[] = [];
  private readonly run = () => this.flushAll();

  /** Calls `flush` once, soon; whoever waits already is not to be given again. */
  add(flushed: Flushed): void {
    this.waiting.push(flushed);
    if (this.waiting.length === 1) queueMicrotask(this.run);
  }

  private flushAll(): void {
    const { waiting } = this;
    this.waiting = this.spare;
    for (const flushed of waiting) flushed.flush();
    waiting.length = 0;
    this.spare = waiting;
  }
}

/**
 * An answer that comes later, told in the turn in which it is there: what a promise is for, without
 * the objects and the rounds of the microtask queue that one costs. Who gives it may do so before
 * anybody asks; who asks does so once.
 */

/** Who waits for an answer; one of both is called, once. */
export interface Asker<R> {
  done(answer: R): void;
  failed(error: unknown): void;
}

export class Later<R> {
  #asker: Asker<R> | undefined;
  /** What was given before somebody asked. */
  #given: { readonly answer: R } | { readonly error: unknown } | undefined;

  /** Told at once where the answer is there. */
  tell(asker: Asker<R>): void {
    const given = this.#given;
    if (given === undefined) this.#asker = asker;
    else if ('error' in given) asker.failed(given.error);
    else asker.done(given.answer);
  }

  /** Gives the answer; to be called once, or `fail` is. */
  resolve(answer: R): void {
    if (this.#asker === undefined) this.#given = { answer };
    else this.#asker.done(answer);
  }

  fail(error: unknown): void {
    if (this.#asker === undefined) this.#given = { error };
    else this.#asker.failed(error);
  }

  /** The same for who works with promises. */
  promise(): Promise<R> {
    return new Promise((done, failed) => this.tell({ done, failed }));
  }
}

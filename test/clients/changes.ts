/** Waiting for what callbacks bring about: a condition is looked at after each change, and only then. */

export class Changes {
  readonly #waiting = new Set<() => void>();

  /** Something changed: whoever waits looks again. */
  happened(): void {
    for (const look of [...this.#waiting]) look();
  }

  /** Resolves when the condition holds; a test's own time limit ends what never does. */
  until(condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        try {
          if (!condition()) return;
          this.#waiting.delete(look);
          resolve();
        } catch (error) {
          this.#waiting.delete(look);
          reject(error);
        }
      };
      this.#waiting.add(look);
      look();
    });
  }
}

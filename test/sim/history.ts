/**
 * What clients sent and were told, line by line, and what was found against the laws. The laws
 * themselves are in checkers/, one file each.
 */

import type { CheckerName } from './checkers/names.ts';

/** A partition as the clients know it. */
export interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly visibility: 'written' | 'durable';
}

export function nameOf({ topic, partition }: Place): string {
  return `${topic}-${partition}`;
}

/** A record that somebody sent; its value begins with a name that no other has, and a space. */
export interface Sent {
  readonly place: Place;
  readonly producer: string;
  /** Position among the producer's records, which is their order in the log. */
  readonly order: number;
  readonly value: Buffer;
  readonly acks: 1 | -1;
  /** Simulated time at which it was made: its timestamp, where no clock has jumped. */
  readonly madeMs: number;
  /** Offset in the acknowledgement. */
  offset?: number;
  /** Power cuts that there had been when it was acknowledged. */
  powerCuts?: number;
  /** It was answered with an error after which it cannot be in the log. */
  isRefused?: boolean;
}

/** A record as a reader was given it. */
export interface Seen {
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
}

/** Something against a law, and the checker that found it. */
export interface Violation {
  readonly checker: CheckerName;
  readonly text: string;
}

const HOPELESS = 30;

export class History {
  /** Everything that happened, line by line: the same for the same seed. */
  readonly lines: string[] = [];
  readonly violations: Violation[] = [];
  /** Who waits for this checker only has seen enough when it speaks. */
  awaited: CheckerName | undefined;
  /** Resolves when so much is wrong that more of it tells nothing. */
  readonly hopeless: Promise<void>;
  #giveUp: () => void = () => {};
  readonly #sent = new Map<string, Sent>();
  readonly #now: () => number;

  /** `now`: simulated time, for the lines. */
  constructor(now: () => number) {
    this.#now = now;
    this.hopeless = new Promise((resolve) => {
      this.#giveUp = resolve;
    });
  }

  note(who: string, what: string): void {
    this.lines.push(`${this.#now().toFixed(3)} ${who} ${what}`);
  }

  violate(checker: CheckerName, who: string, what: string): void {
    const text = `${this.#now().toFixed(3)} ${who}: ${what}`;
    this.lines.push(`VIOLATION (${checker}) ${text}`);
    this.violations.push({ checker, text });
    if (this.violations.length >= HOPELESS || checker === this.awaited) this.#giveUp();
  }

  sent(record: Sent): void {
    this.#sent.set(short(record.value), record);
  }

  /** What was sent under the name that a value begins with. */
  find(value: Buffer): Sent | undefined {
    return this.#sent.get(short(value));
  }

  /** All that was sent to a partition. */
  sentTo(place: Place): Sent[] {
    const name = nameOf(place);
    return [...this.#sent.values()].filter((record) => nameOf(record.place) === name);
  }
}

/** The name that a value begins with. */
export function short(value: Buffer): string {
  return value.toString('latin1', 0, value.indexOf(' '));
}

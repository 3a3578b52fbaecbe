/** What simulated clients have in common: a connection, a seed of their own, and patience. */

import { ErrorCode, errorName } from '../../protocol/errors.ts';
import type { CheckerName } from './checkers/names.ts';
import { Disconnected, SimClient } from './client.ts';
import type { History, Place } from './history.ts';
import type { SeededRandom } from './random.ts';
import type { Run } from './run.ts';
import type { SimWorld } from './world.ts';

/** Errors after which a client tries again. */
const TRY_AGAIN: ReadonlySet<number> = new Set([
  ErrorCode.KAFKA_STORAGE_ERROR,
  ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
  ErrorCode.COORDINATOR_NOT_AVAILABLE,
  ErrorCode.NOT_COORDINATOR,
  ErrorCode.NOT_LEADER_OR_FOLLOWER,
]);

/** A loop on the simulated clock. */
export abstract class Worker {
  readonly name: string;
  readonly place: Place;
  protected readonly shared: Run;
  protected readonly world: SimWorld;
  protected readonly history: History;
  protected readonly client: SimClient;
  protected readonly random: SeededRandom;

  constructor(run: Run, name: string, place: Place) {
    this.name = name;
    this.place = place;
    this.shared = run;
    this.world = run.world;
    this.history = run.history;
    this.client = new SimClient(run, name);
    this.random = run.world.random.fork();
  }

  protected pause(maxMs: number): Promise<void> {
    return this.world.sleep(this.random.below(maxMs));
  }

  protected note(text: string): void {
    this.history.note(this.name, text);
  }

  protected violate(checker: CheckerName, text: string): void {
    this.history.violate(checker, this.name, text);
  }

  /** Tries until it works; whatever is no lost connection is thrown. */
  protected async until<T>(attempt: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      try {
        const result = await attempt();
        if (result !== undefined) return result;
      } catch (error) {
        if (!(error instanceof Disconnected)) throw error;
      }
      await this.pause(400);
    }
  }

  /** A call that was answered with an error is to be repeated; few errors are lawful. */
  protected isToRepeat(code: number, what: string): undefined {
    if (!TRY_AGAIN.has(code)) this.violate('error', `${what} was answered ${errorName(code)}`);
  }

  /** Lets go of its connection. */
  leave(): void {
    this.client.disconnect();
  }
}

/** What all clients of one simulated world share. */

import { CommitChecker } from './checkers/commits.ts';
import { Sightings } from './checkers/logs.ts';
import { WatcherChecker } from './checkers/watchers.ts';
import { History } from './history.ts';
import type { SimWorld } from './world.ts';

interface Client {
  disconnect(): void;
}

export class Run {
  readonly world: SimWorld;
  readonly history: History;
  readonly sightings: Sightings;
  readonly watchers: WatcherChecker;
  readonly commits: CommitChecker;
  readonly #clients = new Set<Client>();
  /** How much everybody has to do: batches of a producer, transactions. */
  readonly size: number;

  constructor(world: SimWorld, size: number) {
    const now = () => world.clock.monotonic();
    this.world = world;
    this.size = size;
    this.history = new History(now);
    this.sightings = new Sightings(this.history);
    this.watchers = new WatcherChecker(this.history, now);
    this.commits = new CommitChecker(this.history, () => world.lives);
  }

  add(client: Client): void {
    this.#clients.add(client);
  }

  /** All clients let go of their connections. */
  leaveAll(): void {
    for (const client of this.#clients) client.disconnect();
  }
}

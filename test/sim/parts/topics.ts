/** Topics come and go: what was answered of them must hold. */

import { Administrator } from '../administration.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const NOWHERE = { topic: 'made', partition: 0, visibility: 'written' } as const;
const TOPICS = 3;

/** Creates topics and deletes some of them; what was answered must hold. */
class Keeper extends Administrator {
  readonly #there = new Set<string>();
  readonly #gone = new Set<string>();

  async run(count: number): Promise<void> {
    for (let made = 0; made < count; made++) {
      const name = `made-${made}`;
      await this.create(name, 1 + this.random.below(3), {});
      this.#there.add(name);
      await this.pause(400);
      if (!this.random.chance(0.6)) continue;
      this.#there.delete(name);
      await this.delete(name);
      this.#gone.add(name);
      await this.pause(300);
    }
  }

  async check(): Promise<void> {
    const found = await this.topics();
    for (const name of this.#there) {
      if (!found.has(name)) this.violate('topic', `${name} is gone`);
    }
    for (const name of this.#gone) {
      if (found.has(name)) this.violate('topic', `${name} is there again`);
    }
  }
}

export class TopicsPart implements Part {
  readonly #keeper: Keeper;

  constructor(run: Run) {
    this.#keeper = new Keeper(run, 'keeper', NOWHERE);
  }

  async create(): Promise<void> {}

  work(): Promise<void> {
    return this.#keeper.run(TOPICS);
  }

  async finish(): Promise<void> {}

  check(): Promise<void> {
    return this.#keeper.check();
  }
}

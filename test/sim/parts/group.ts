/** A consumer group whose members come, leave and die, over a topic of three partitions. */

import { type Administrator, LATEST } from '../administration.ts';
import { GroupChecker } from '../checkers/groups.ts';
import { GROUP, GroupMember } from '../group-member.ts';
import { nameOf, type Place } from '../history.ts';
import { IdempotentProducer } from '../producers.ts';
import type { Run } from '../run.ts';
import type { Part } from './part.ts';

const PLACES: readonly Place[] = [0, 1, 2].map((partition) => ({
  topic: 'shared',
  partition,
  visibility: 'written',
}));
const CHANGES = 3;

interface Member {
  readonly member: GroupMember;
  readonly running: Promise<void>;
}

export class GroupPart implements Part {
  readonly #run: Run;
  readonly #checker: GroupChecker;
  readonly #members: Member[] = [];
  #made = 0;

  constructor(run: Run) {
    this.#run = run;
    this.#checker = new GroupChecker(run.history, GROUP);
  }

  create(admin: Administrator): Promise<void> {
    return admin.create('shared', PLACES.length, {});
  }

  async work(): Promise<void> {
    const run = this.#run;
    this.#add();
    const producing = PLACES.map((place) =>
      new IdempotentProducer(run, `once-${nameOf(place)}`, place).run(Math.ceil(run.size / 2)),
    );
    await Promise.all([...producing, this.#change()]);
  }

  #add(): void {
    const member = new GroupMember(this.#run, `member-${this.#made++}`, PLACES, this.#checker);
    this.#members.push({ member, running: member.run() });
  }

  /** Members come, leave and die; one is left. */
  async #change(): Promise<void> {
    const { world } = this.#run;
    const random = world.random.fork();
    for (let left = CHANGES; left > 0; left--) {
      await world.sleep(random.below(1500));
      if (this.#members.length === 1 || random.chance(0.5)) this.#add();
      else await this.#remove(random.below(this.#members.length), random.chance(0.5));
    }
  }

  async #remove(index: number, isOrderly: boolean): Promise<void> {
    const [{ member, running }] = this.#members.splice(index, 1) as [Member];
    if (isOrderly) {
      await member.leaveGroup();
    } else {
      member.die();
    }
    await running;
  }

  async finish(admin: Administrator): Promise<void> {
    const ends = new Map<Place, number>();
    for (const place of PLACES) ends.set(place, await admin.offset(place, LATEST));
    // A member that died holds its partitions until its session is over.
    while (this.#members.length > 1) await this.#remove(0, true);
    const [{ member, running }] = this.#members as [Member];
    member.finishAt(ends);
    await running;
    member.leave();
    this.#checker.checkProcessed(PLACES);
  }

  async check(admin: Administrator): Promise<void> {
    for (const place of PLACES) await admin.audit(place);
  }
}

/**
 * Consume, transform, produce: a processor reads an input, writes what it makes of it into two
 * partitions and commits how far it has come, all in transactions. Now and then another one takes
 * over while the first goes on. Each input is in the output exactly once, in order.
 */

import { type Administrator, LATEST } from '../administration.ts';
import { TransactionChecker } from '../checkers/transactions.ts';
import { CommittedReader } from '../committed-reader.ts';
import { type History, nameOf, type Place, type Sent, short } from '../history.ts';
import { IdempotentProducer } from '../producers.ts';
import { Reader } from '../readers.ts';
import type { Run } from '../run.ts';
import { Fenced, TransactionalClient, type TransactionVersion } from '../transactional-client.ts';
import type { Part } from './part.ts';

const INPUT: Place = { topic: 'input', partition: 0, visibility: 'written' };
const OUTPUTS: readonly Place[] = [
  { topic: 'output', partition: 0, visibility: 'written' },
  { topic: 'output', partition: 1, visibility: 'written' },
];
const GROUP = 'processors';
const MOST_RECORDS = 5;
/** Time for the markers of the last transaction. */
const ENDING_MS = 20_000;

/** Reads the input a few records at a time. */
class InputReader extends Reader {
  protected override readonly isolationLevel = 1;

  async next(from: number): Promise<readonly { offset: number; name: string }[]> {
    this.position = from;
    this.taken.length = 0;
    if ((await this.poll()) === undefined) return [];
    const named = this.taken.map(({ offset, value }) => ({ offset, name: short(value!) }));
    return named.slice(0, MOST_RECORDS);
  }
}

class Processor extends TransactionalClient {
  protected override readonly hasRivals = true;
  /** Another one came: this one ends as soon as it hears of it. */
  isFollowed = false;
  readonly #checker: TransactionChecker;
  readonly #reader: InputReader;
  #position = 0;

  constructor(run: Run, number: number, version: TransactionVersion, checker: TransactionChecker) {
    super(run, `processor-${number}`, INPUT, version, 'processor');
    this.#checker = checker;
    this.#reader = new InputReader(run, `${this.name}-input`, INPUT);
  }

  /** Works until `isEnd` says that there will be no more, or until another one has come. */
  async run(isEnd: (position: number) => boolean): Promise<void> {
    let isReady = false;
    while (!(isReady && isEnd(this.#position)) && !this.isFollowed) {
      try {
        const work = isReady ? () => this.#process() : () => this.#takeOver();
        isReady = await this.attempt(work);
        if (!isReady) await this.pause(300);
      } catch (error) {
        if (!(error instanceof Fenced)) throw error;
        isReady = false;
        await this.pause(300);
      }
    }
    this.note(this.isFollowed ? 'was followed' : 'is at the end');
    this.#reader.leave();
    this.leave();
  }

  async #takeOver(): Promise<void> {
    await this.init();
    this.#position = Math.max(0, await this.offset(GROUP, INPUT));
    this.note(`goes on from ${this.#position}`);
  }

  async #process(): Promise<void> {
    const inputs = await this.#reader.next(this.#position);
    if (inputs.length === 0) {
      // There may be a gap, which a power cut has left.
      this.#position = this.#reader.position;
      return;
    }
    const values = OUTPUTS.map((_, index) =>
      inputs.filter(({ offset }) => offset % OUTPUTS.length === index).map(({ name }) => name),
    );
    const places = OUTPUTS.filter((_, index) => values[index]!.length > 0);
    const next = inputs.at(-1)!.offset + 1;
    await this.addPartitions(places);
    const sent = OUTPUTS.map((place, index) =>
      values[index]!.length > 0 ? this.produce(place, values[index]!) : undefined,
    );
    for (const outcome of await Promise.allSettled(sent)) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
    await this.addOffsets(GROUP);
    const commit = this.shared.commits.begun(GROUP, nameOf(INPUT), next);
    await this.commitOffset(GROUP, INPUT, next);
    const isCommit = this.random.chance(0.8);
    if (isCommit) this.#checker.commitAsked(values.flat());
    await this.end(isCommit);
    if (!isCommit) return commit.refused();
    commit.done();
    this.#position = next;
    this.note(`processed up to ${next}`);
  }
}

/** Every input that was acknowledged is in the output once, in order. */
function checkOnce(history: History, outputs: readonly string[][], inputs: readonly Sent[]): void {
  for (const [index, values] of outputs.entries()) {
    const expected = inputs
      .filter(({ offset }) => offset! % OUTPUTS.length === index)
      .map(({ value }) => short(value));
    if (expected.join() === values.join()) continue;
    const lost = expected.filter((value) => !values.includes(value));
    const twice = values.filter((value, at) => values.indexOf(value) < at);
    const what = `lost ${lost}, twice ${twice}, of ${expected.length}, or out of order`;
    history.violate('exactly once', nameOf(OUTPUTS[index]!), what);
  }
}

export class PipelinePart implements Part {
  readonly #run: Run;
  readonly #checker: TransactionChecker;
  readonly #version: TransactionVersion;
  #end = Number.POSITIVE_INFINITY;
  #working: Promise<unknown> = Promise.resolve();

  constructor(run: Run) {
    this.#run = run;
    this.#checker = new TransactionChecker(run.history);
    this.#version = run.world.random.fork().pick([0, 2]);
  }

  async create(admin: Administrator): Promise<void> {
    await admin.create(INPUT.topic, 1, {});
    await admin.create(OUTPUTS[0]!.topic, OUTPUTS.length, {});
  }

  async work(): Promise<void> {
    const producing = new IdempotentProducer(this.#run, 'once-input', INPUT).run(this.#run.size);
    this.#working = this.#followEachOther(producing);
    await producing;
  }

  /** One processor after the other, the ones before going on until they notice. */
  async #followEachOther(producing: Promise<void>): Promise<void> {
    const { world } = this.#run;
    const random = world.random.fork();
    let isOver = false;
    const over = producing.then(() => {
      isOver = true;
    });
    const working: Promise<void>[] = [];
    let last: Processor | undefined;
    for (let number = 0; number < 3 && !isOver; number++) {
      const next = new Processor(this.#run, number, this.#version, this.#checker);
      working.push(next.run((position) => position >= this.#end));
      if (last !== undefined) last.isFollowed = true;
      last = next;
      await Promise.race([over, world.sleep(500 + random.below(1500))]);
    }
    await Promise.all(working);
  }

  async finish(admin: Administrator): Promise<void> {
    this.#end = await admin.offset(INPUT, LATEST);
    await this.#working;
  }

  async check(admin: Administrator): Promise<void> {
    const { records } = await admin.audit(INPUT);
    const inputs: Sent[] = [];
    for (const { value } of records) {
      const sent = value === null ? undefined : this.#run.history.find(value);
      if (sent?.offset !== undefined) inputs.push(sent);
    }
    const outputs: string[][] = [];
    for (const place of OUTPUTS) {
      const reader = new CommittedReader(this.#run, `auditor-${nameOf(place)}`, place);
      reader.onRead = (record) => this.#checker.read(reader.name, place, record);
      reader.finish(ENDING_MS);
      await reader.run();
      reader.leave();
      outputs.push(reader.taken.map(({ value }) => value));
    }
    checkOnce(this.#run.history, outputs, inputs);
  }
}

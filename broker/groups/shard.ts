/**
 * The groups whose state lies in one partition of __consumer_offsets, and the way of their records
 * into it.
 */

import type { ErrorName } from '../../protocol/errors.ts';
import type { Env } from '../../storage/env.ts';
import type { Deadlines } from '../deadlines.ts';
import { blameOf } from '../error-map.ts';
import type { LimitedLog } from '../limited-log.ts';
import { Group } from './group.ts';
import type { GroupHost } from './group-host.ts';
import { LogWriter, type WritablePartition, type Write } from './log-writer.ts';
import type { KeyedRecord } from './offset-records.ts';
import { GroupOffsets } from './offsets.ts';
import type { GroupOptions } from './options.ts';
import { type StateBudget, stateBytes } from './state-budget.ts';
import { writeErrorOf } from './write-error.ts';

export interface ShardServices {
  readonly env: Env;
  readonly log: LimitedLog;
  readonly options: GroupOptions;
  readonly deadlines: Deadlines;
  readonly budget: StateBudget;
  /** The partition, made with its topic when there is none. */
  readonly open: (partition: number) => Promise<WritablePartition>;
  readonly rebalanced: () => void;
  readonly offsetsCommitted: (count: number) => void;
}

/** A group and its offsets; a group without members is there for its offsets. */
export interface GroupEntry {
  readonly group: Group;
  readonly offsets: GroupOffsets;
}

/** Bytes of randomness in a member id; written as Kafka does, as a UUID of version 4. */
const UUID_BYTES = 16;
/** Of what names the client, so much goes into its member id. */
const MAX_ID_PREFIX_LENGTH = 255;

export class Shard {
  readonly partition: number;
  readonly services: ShardServices;
  readonly host: GroupHost;
  readonly writer: LogWriter;
  /** Why its groups cannot be asked for now; undefined when they can. */
  unavailable: ErrorName | undefined;
  /** Groups that each open transaction has offsets of, by producer id. */
  readonly openTransactions = new Map<number, Set<string>>();
  readonly #entries = new Map<string, GroupEntry>();

  constructor(partition: number, services: ShardServices) {
    const { env, log, options, deadlines, budget } = services;
    this.partition = partition;
    this.services = services;
    this.writer = new LogWriter(() => services.open(partition), deadlines, options.commitTimeoutMs);
    this.host = {
      options,
      deadlines,
      budget,
      log,
      now: () => env.clock.now(),
      newMemberId: (prefix) => newMemberId(prefix, env.random.bytes(UUID_BYTES)),
      store: (record, done) => this.#store(record, done),
      rebalanced: services.rebalanced,
    };
  }

  get size(): number {
    return this.#entries.size;
  }

  get entries(): Iterable<GroupEntry> {
    return this.#entries.values();
  }

  get(groupId: string): GroupEntry | undefined {
    return this.#entries.get(groupId);
  }

  /** The group, new and empty when it was not known; the caller has looked at the budget. */
  ensure(groupId: string): GroupEntry {
    return this.#entries.get(groupId) ?? this.adopt(new Group(groupId, this.host));
  }

  /** Takes a group in that was not known; it may have offsets already. */
  adopt(group: Group, offsets = new GroupOffsets(this.services.budget)): GroupEntry {
    const entry = { group, offsets };
    this.#entries.set(group.id, entry);
    this.services.budget.take(stateBytes(group.id));
    return entry;
  }

  /** Forgets a group, its members and its offsets; what must be recorded of that has been. */
  forget(entry: GroupEntry): void {
    const { group, offsets } = entry;
    if (this.#entries.get(group.id) !== entry) return;
    if (group.state !== 'Dead') group.retire('NOT_COORDINATOR');
    offsets.clear();
    this.#entries.delete(group.id);
    this.services.budget.give(stateBytes(group.id));
  }

  /** Forgets a group of which nothing is left that anyone could ask for. */
  forgetIfVoid(entry: GroupEntry): void {
    const { group, offsets } = entry;
    const isVoid = group.state === 'Empty' && !group.hasPendingMembers && offsets.isEmpty;
    if (isVoid && !group.isRecorded) this.forget(entry);
  }

  /** Ends all that waits; the shard takes nothing any more. */
  close(error: ErrorName): void {
    this.unavailable = error;
    for (const entry of [...this.entries]) this.forget(entry);
  }

  /** Writes records; gives what to answer when that failed. */
  async write(write: Write): Promise<ErrorName | undefined> {
    try {
      await this.writer.write(write);
      return undefined;
    } catch (error) {
      const values = { partition: this.partition, error };
      const { log } = this.services;
      if (blameOf(error) === 'broker') log.error(values, 'an unexpected error writing to the log');
      else log.warn(values, 'records of groups could not be written');
      return writeErrorOf(error);
    }
  }

  #store(record: KeyedRecord, done: (error: ErrorName | undefined) => void): void {
    // Whatever `done` throws is a broken invariant: it is to stop the process, unhandled.
    void this.write({ records: [record], apply: () => undefined }).then(done);
  }
}

function newMemberId(prefix: string, random: Buffer): string {
  random[6] = (random[6]! & 0x0f) | 0x40;
  random[8] = (random[8]! & 0x3f) | 0x80;
  const hex = random.toString('hex');
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  // Cutting may halve a character; what goes over the wire and what is kept must stay the same.
  const name = Buffer.from(prefix.slice(0, MAX_ID_PREFIX_LENGTH)).toString();
  return `${name}-${uuid}`;
}

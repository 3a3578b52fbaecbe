/** What a group sees of the world: the coordinator gives it one, tests another. */

import type { ErrorName } from '../../protocol/errors.ts';
import type { Deadlines } from '../deadlines.ts';
import type { LimitedLog } from '../limited-log.ts';
import type { KeyedRecord } from './offset-records.ts';
import type { GroupOptions } from './options.ts';
import type { StateBudget } from './state-budget.ts';

/** What a group needs of its coordinator. */
export interface GroupHost {
  readonly options: GroupOptions;
  readonly deadlines: Deadlines;
  readonly budget: StateBudget;
  /** For what clients bring about as often as they like. */
  readonly log: LimitedLog;
  /** Wall clock in milliseconds. */
  now(): number;
  /** A member id that nobody had, beginning with what names the client. */
  newMemberId(prefix: string): string;
  /** Makes a record of the group durable, then calls back once, in the order of the calls. */
  store(record: KeyedRecord, done: (error: ErrorName | undefined) => void): void;
  rebalanced(): void;
}

/** A part of a scenario: some topics, and clients that work on them. */

import type { Administrator } from '../administration.ts';
import type { Place } from '../history.ts';
import type { Run } from '../run.ts';

export interface Part {
  /** Partitions whose files may be damaged at the end. */
  readonly places?: readonly Place[];
  /** Makes what is needed. */
  create(admin: Administrator): Promise<void>;
  /** All the work; it goes on through whatever happens, and ends by itself. */
  work(): Promise<void>;
  /** In peace, when all parts have done their work: consumers come to the end. */
  finish(admin: Administrator): Promise<void>;
  /** Holds everything against the laws; once more after a restart. */
  check(admin: Administrator): Promise<void>;
}

export type MakePart = (run: Run) => Part;

/**
 * The checker of committed offsets: each group and partition is a register. Whoever asks is told
 * what was committed last before he asked, or what was being committed meanwhile; never what a
 * later commit that was acknowledged has replaced, and never nothing again.
 */

import type { History } from '../history.ts';

interface Commit {
  readonly offset: number;
  /** Which of the broker's lives it was sent to. */
  readonly life: number;
  readonly begunAt: number;
  /** Undefined as long as nobody knows whether it counts. */
  doneAt: number | undefined;
}

/** Ends a commit: it counts, or it can never count. As long as neither is called, who knows. */
export interface CommitEnd {
  done(): void;
  refused(): void;
}

const NOTHING = -1;

export class CommitChecker {
  readonly #history: History;
  readonly #life: () => number;
  readonly #commits = new Map<string, Set<Commit>>();
  /** Counts what happens: simulated time stands still meanwhile. */
  #now = 0;

  /** `life`: the number of the broker's life. */
  constructor(history: History, life: () => number) {
    this.#history = history;
    this.#life = life;
  }

  begun(group: string, partition: string, offset: number): CommitEnd {
    const commits = this.#of(group, partition);
    const commit: Commit = {
      offset,
      life: this.#life(),
      begunAt: ++this.#now,
      doneAt: undefined,
    };
    commits.add(commit);
    return {
      done: () => {
        commit.doneAt = ++this.#now;
      },
      refused: () => {
        commits.delete(commit);
      },
    };
  }

  /** Somebody asks; call what this gives with what a group is told. */
  asked(group: string, partition: string): (offset: number) => void {
    const askedAt = ++this.#now;
    const commits = this.#of(group, partition);
    return (offset) => {
      const settled = [...commits].filter(({ doneAt }) => (doneAt ?? Infinity) < askedAt);
      // What was sent to an earlier life of the broker lies before it in the log, if at all.
      const isReplaced = ({ doneAt, life }: Commit) =>
        settled.some((later) => (doneAt ?? Infinity) < later.begunAt || life < later.life);
      const isLawful =
        offset === NOTHING
          ? settled.length === 0
          : [...commits].some((commit) => commit.offset === offset && !isReplaced(commit));
      if (isLawful) return;
      const last = settled.map((commit) => commit.offset).at(-1) ?? 'nothing';
      const text = `of ${partition} is told ${offset}, committed last ${last}`;
      this.#history.violate('commit', group, text);
    };
  }

  #of(group: string, partition: string): Set<Commit> {
    const key = `${group} ${partition}`;
    let commits = this.#commits.get(key);
    if (commits === undefined) {
      commits = new Set();
      this.#commits.set(key, commits);
    }
    return commits;
  }
}

/** Starts a member of a group in a process of its own, and kills it. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Changes } from './changes.ts';
import type { TestBroker } from './test-broker.ts';

const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const program = fileURLToPath(new URL(`./doomed-member.${ending}`, import.meta.url));

export interface DoomedOptions {
  readonly client: 'kafkajs' | 'platformatic';
  readonly groupId: string;
  readonly topic: string;
  readonly sessionMs: number;
  readonly instanceId?: string;
}

export class DoomedMember {
  partitions: number[] = [];
  /** `partition-offset` of each record it saw. */
  readonly seen: string[] = [];
  /** What went wrong in it, to be shown when a test fails. */
  trouble = '';
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;

  constructor(test: Test, broker: TestBroker, changes: Changes, options: DoomedOptions) {
    const { client, groupId, topic, sessionMs, instanceId } = options;
    const args = [program, client, broker.address, groupId, topic, String(sessionMs)];
    if (instanceId !== undefined) args.push(instanceId);
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line) as { partitions?: number[]; seen?: string };
      if (told.partitions !== undefined) this.partitions = told.partitions.sort((a, b) => a - b);
      if (told.seen !== undefined) this.seen.push(told.seen);
      changes.happened();
    });
    child.stderr.on('data', (chunk) => {
      this.trouble += String(chunk);
    });
    test.teardown(() => this.kill());
  }

  /** The process is gone, and its sockets with it, when it resolves. */
  kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    return this.#ended;
  }
}

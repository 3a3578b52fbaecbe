/** A broker in a process of its own that is killed, or stopped, and started again on its data. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const program = fileURLToPath(new URL(`../../../cli/main.${ending}`, import.meta.url));

export class KilledBroker {
  readonly host = '127.0.0.1';
  port = 0;
  /** What it wrote to its log, to be shown when a test fails. */
  log = '';
  readonly #data = mkdtempSync(join(tmpdir(), 'tailrace-killed-'));
  readonly #settings: readonly string[];
  #process: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  private constructor(settings: readonly string[]) {
    this.#settings = settings;
  }

  /** Starts a broker that ends with the test. */
  static async start(t: Test, settings: readonly string[]): Promise<KilledBroker> {
    const broker = new KilledBroker(settings);
    t.teardown(async () => {
      await broker.kill();
      rmSync(broker.#data, { recursive: true, force: true });
    });
    await broker.start();
    return broker;
  }

  /** Serves clients when it resolves. */
  start(): Promise<void> {
    const args = [program, 'serve', '--port', String(this.port), '--data', this.#data];
    for (const setting of this.#settings) args.push('--set', setting);
    const child = spawn(process.execPath, [...args, '--log-level', 'warn'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#process = child;
    this.#ended = new Promise((resolve) => child.once('close', () => resolve()));
    child.stderr.on('data', (chunk: Buffer) => {
      this.log += chunk;
    });
    return new Promise((resolve, reject) => {
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk;
        const port = /listens on \S*:(\d+)/.exec(text)?.[1];
        if (port === undefined) return;
        this.port = Number(port);
        resolve();
      });
      child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${this.log}`)));
    });
  }

  /** The process is gone when it resolves. */
  kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.#process?.kill(signal);
    return this.#ended;
  }
}

/** Runs Tailrace as it ships, from dist/, in a data folder of its own, through several lives. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const START_LIMIT_MS = 60_000;

export class TailraceProcess {
  readonly host = '127.0.0.1';
  readonly dataFolder = mkdtempSync(join(tmpdir(), 'tailrace-bench-'));
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;
  #port = 0;

  /** `settings`: name=value. */
  constructor(settings: readonly string[]) {
    this.#settings = settings;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it says that it is ready; it listens where it did before. */
  async start(): Promise<void> {
    const args = ['dist/cli.cjs', 'serve', '--port', String(this.#port), '--data', this.dataFolder];
    args.push('--log-level', 'warn');
    for (const setting of this.#settings) args.push('--set', setting);
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    this.#port = await readyPort(child);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  /** Ends it and removes its data. */
  async remove(): Promise<void> {
    await this.end();
    rmSync(this.dataFolder, { recursive: true, force: true });
  }
}

/** The port that the ready line names. */
function readyPort(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = '';
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`no ready line within ${START_LIMIT_MS} ms: ${text}`));
    }, START_LIMIT_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk;
      const port = /listens on \S*:(\d+)/.exec(text)?.[1];
      if (port === undefined) return;
      clearTimeout(limit);
      resolve(Number(port));
    });
    child.once('exit', (code) => {
      clearTimeout(limit);
      reject(new Error(`tailrace ended at once with ${code}: ${text}`));
    });
  });
}

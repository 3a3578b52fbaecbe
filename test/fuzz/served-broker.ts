/** A broker in a process of its own, as the command line starts it, on a folder of its own. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const program = fileURLToPath(new URL(`../../cli/main.${ending}`, import.meta.url));

export interface ServedBroker {
  readonly port: number;
  readonly pid: number;
  /** What it has written to its log so far. */
  readonly log: () => string;
  /** Sends it a signal, when it still runs. */
  signal(name: NodeJS.Signals): void;
  /** The process is gone when it resolves, where it stood. */
  kill(): Promise<void>;
  /** Ends it with SIGTERM; the code is 143 when it went in an orderly way. */
  stop(): Promise<{ readonly exitCode: number | null; readonly log: string; tookMs: number }>;
}

export interface ServeOptions {
  /** Kept when given; a folder that goes with the broker otherwise. */
  readonly dataDir?: string;
  readonly port?: number;
  /** Of file descriptors. */
  readonly openFiles?: number;
  readonly logLevel?: 'info' | 'warn';
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a broker; it serves clients when this resolves. */
export function serve(
  settings: Readonly<Record<string, string>>,
  options: ServeOptions = {},
): Promise<ServedBroker> {
  const folder = options.dataDir ?? mkdtempSync(join(tmpdir(), 'tailrace-served-'));
  const args = [program, 'serve', '--port', String(options.port ?? 0), '--data', folder];
  for (const [name, value] of Object.entries(settings)) args.push('--set', `${name}=${value}`);
  args.push('--log-level', options.logLevel ?? 'warn');
  const limit = options.openFiles === undefined ? '' : `ulimit -n ${options.openFiles}; `;
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$0" "$@"`, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without the loaders that the test's runner puts there: they cost each process a second.
    env: { ...process.env, NODE_OPTIONS: '', ...options.env },
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  const stop = async () => {
    const before = performance.now();
    child.kill('SIGTERM');
    const exitCode = await ended;
    const tookMs = performance.now() - before;
    if (options.dataDir === undefined) rmSync(folder, { recursive: true, force: true });
    return { exitCode, log, tookMs };
  };
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk;
      const port = /listens on \S*:(\d+)/.exec(text)?.[1];
      if (port !== undefined) {
        const signal = (name: NodeJS.Signals) => void child.kill(name);
        const pid = child.pid as number;
        resolve({ port: Number(port), pid, log: () => log, signal, kill, stop });
      }
    });
    child.once('exit', (code) => reject(new Error(`it ended with ${code}: ${log}`)));
  });
}

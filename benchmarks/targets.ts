/** The brokers that are measured: Tailrace and Apache Kafka started here, or one that runs already. */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from './peers/kafka.ts';
import type { Target } from './scenario.ts';

const START_LIMIT_MS = 30_000;

export interface RunningTarget extends Target {
  /** From the start of the process until it listens; undefined when it ran already. */
  readonly startSeconds: number | undefined;
  stop(): Promise<void>;
}

/** Starts `tailrace` or `kafka`, each with name=value settings behind it, or names a host:port. */
export async function startTarget(description: string): Promise<RunningTarget> {
  const [kind = '', ...settings] = description.split(' ');
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  if (kind === 'tailrace') {
    const running = await startTailrace(description, settings);
    return { ...running, startSeconds: seconds() };
  }
  if (kind === 'kafka') {
    const kafka = await startKafka({ settings: Object.fromEntries(settings.map(pair)) });
    const { host, port, pid } = kafka;
    return { name: description, host, port, pid, startSeconds: seconds(), stop: kafka.stop };
  }
  const [, host, port] = /^(.+):(\d+)$/.exec(kind) ?? [];
  if (host === undefined) throw new Error(`neither tailrace nor kafka nor host:port: ${kind}`);
  return {
    name: description,
    host,
    port: Number(port),
    pid: undefined,
    startSeconds: undefined,
    stop: async () => {},
  };
}

function pair(setting: string): [string, string] {
  const at = setting.indexOf('=');
  if (at <= 0) throw new Error(`not name=value: ${setting}`);
  return [setting.slice(0, at), setting.slice(at + 1)];
}

async function startTailrace(
  name: string,
  settings: readonly string[],
): Promise<Omit<RunningTarget, 'startSeconds'>> {
  const data = mkdtempSync(join(tmpdir(), 'tailrace-bench-'));
  const args = ['dist/cli.js', 'serve', '--port', '0', '--data', data, '--log-level', 'warn'];
  for (const setting of settings) args.push('--set', setting);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  const port = await readyPort(child);
  return {
    name,
    host: '127.0.0.1',
    port,
    pid: child.pid,
    stop: async () => {
      if (child.exitCode === null) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(data, { recursive: true, force: true });
    },
  };
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

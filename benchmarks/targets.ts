/** The brokers that are measured: Tailrace and Apache Kafka started here, or one that runs already. */

import { startKafka } from './peers/kafka.ts';
import { TailraceProcess } from './peers/tailrace.ts';
import type { Target } from './scenario.ts';

/**
 * Both brokers remove what was deleted soon: by default that is a minute later, in the midst of
 * whatever is measured then.
 */
const REMOVE_SOON = 'log.segment.delete.delay.ms=1000';

export interface RunningTarget extends Target {
  /** From the start of the process until it listens; undefined when it ran already. */
  readonly startSeconds: number | undefined;
  stop(): Promise<void>;
}

/** Starts `tailrace` or `kafka`, each with name=value settings behind it, or names a host:port. */
export async function startTarget(description: string): Promise<RunningTarget> {
  const [kind = '', ...given] = description.split(' ');
  const settings = [REMOVE_SOON, ...given];
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  if (kind === 'tailrace') {
    const running = await startTailrace(description, settings);
    return { ...running, startSeconds: seconds() };
  }
  if (kind === 'kafka') {
    const kafka = await startKafka({ settings: Object.fromEntries(settings.map(pair)) });
    const { host, port, pid, dataDir, stop } = kafka;
    return { name: description, host, port, pid, dataDir, startSeconds: seconds(), stop };
  }
  const [, host, port] = /^(.+):(\d+)$/.exec(kind) ?? [];
  if (host === undefined) throw new Error(`neither tailrace nor kafka nor host:port: ${kind}`);
  return {
    name: description,
    host,
    port: Number(port),
    pid: undefined,
    dataDir: undefined,
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
  const broker = new TailraceProcess(settings);
  await broker.start();
  const { host, port, pid, dataFolder: dataDir } = broker;
  return { name, host, port, pid, dataDir, stop: () => broker.remove() };
}

/** kcat, librdkafka's own command line: writes and reads records and tells offsets and metadata. */

import { execFile } from 'node:child_process';
import type { ForeignRecord, Header, ReadRecord } from './driver.ts';

/** Between key and value; no record has it. */
const KEY_SEPARATOR = '\x01';
const RUN_LIMIT_MS = 60_000;
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

export function runKcat(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: RUN_LIMIT_MS, maxBuffer: MOST_OUTPUT_BYTES };
    const child = execFile('kcat', args, options, (error, out, said) => {
      if (error === null) resolve(out);
      else reject(new Error(`kcat ${args.join(' ')}: ${error.message} ${said}`));
    });
    child.stdin!.end(input);
  });
}

/** Writes records that have all the same headers, into partition 0. Empty texts are written as null. */
export async function produceWithKcat(
  bootstrap: string,
  topic: string,
  codec: string,
  records: readonly ForeignRecord[],
): Promise<void> {
  const lines = records.map(({ key, value }) => `${key ?? ''}${KEY_SEPARATOR}${value ?? ''}`);
  const headers = records[0]!.headers.flatMap(({ key, value }) => [
    '-H',
    value === null ? key : `${key}=${value}`,
  ]);
  const codecOptions = codec === 'none' ? [] : ['-z', codec];
  const args = ['-P', '-b', bootstrap, '-t', topic, '-p', '0', '-Z', '-K', KEY_SEPARATOR];
  await runKcat([...args, ...codecOptions, ...headers], `${lines.join('\n')}\n`);
}

interface KcatMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly ts: number;
  readonly key: string | null;
  readonly payload: string | null;
  /** Names and values in turn. */
  readonly headers?: readonly (string | null)[];
}

/** Reads topics from their beginning to their end in a group, as committed data. */
export async function consumeWithKcat(
  bootstrap: string,
  group: string,
  topics: readonly string[],
): Promise<ReadRecord[]> {
  const settings = ['isolation.level=read_committed', 'auto.offset.reset=earliest'];
  const options = settings.flatMap((setting) => ['-X', setting]);
  const out = await runKcat([
    '-b',
    bootstrap,
    '-e',
    '-q',
    '-J',
    ...options,
    '-G',
    group,
    ...topics,
  ]);
  const lines = out.split('\n').filter((line) => line !== '');
  return lines.map((line) => asRead(JSON.parse(line) as KcatMessage));
}

function asRead(message: KcatMessage): ReadRecord {
  const { topic, partition, offset, ts: timestamp, key, payload: value, headers = [] } = message;
  const pairs: Header[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    pairs.push({ key: headers[at] ?? '', value: headers[at + 1] ?? null });
  }
  return { topic, partition, offset, timestamp, key, value, headers: pairs };
}

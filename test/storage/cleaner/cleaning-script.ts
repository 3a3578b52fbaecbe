/** A cleaning of several groups whose file calls can be given another fate, and what it must leave. */

import type { Test } from 'tap';
import { batchBytes, recordCount } from '../../../protocol/record-batch.ts';
import type { DiskCall, Fate } from '../../sim/disk.ts';
import { CleanerWorld, stateOf } from './cleaner-world.ts';

export const FOLDER = '/data/orders-0';
const TOPIC = { segmentBytes: 1400, deleteRetentionMs: 3600_000 };

/** Segments of updates, deletes and transactions, some so small that they are joined. */
export async function prepare(): Promise<CleanerWorld> {
  const world = new CleanerWorld(TOPIC);
  await world.start();
  const value = (text: string) => text.padEnd(20, '.');
  for (let round = 0; round < 4; round++) {
    for (const key of ['a', 'b', 'c', `only ${round}`]) {
      world.put([{ key, value: value(`${key} ${round}`) }]);
    }
    world.put([{ key: 'deleted', value: round % 2 === 0 ? value('there') : null }]);
    const transactional = { id: 7, sequence: round, transactional: true };
    world.put([{ key: 'in a transaction', value: value(`${round}`) }], { producer: transactional });
    world.endTransaction(7, round % 2 === 1);
    await world.roll();
  }
  world.put([{ key: 'a', value: 'the newest' }]);
  await world.clock.run(world.log.flush());
  return world;
}

/** Cleans, with a fate for one of the calls counted from the cleaning's first. */
export async function cleanWith(
  world: CleanerWorld,
  fateOf: (index: number, call: DiskCall) => Fate | undefined,
) {
  const first = world.disk.calls;
  world.disk.onCall = (call) => fateOf(call.number - first, call);
  const cleaning = world.store.cleaner!.cleanAll().catch(() => {});
  await Promise.race([cleaning, world.clock.advance(1000)]);
  world.disk.onCall = undefined;
}

export async function countCalls(): Promise<DiskCall[]> {
  const calls: DiskCall[] = [];
  await cleanWith(await prepare(), (_index, call) => {
    calls.push(call);
    return undefined;
  });
  return calls;
}

/** The log files of the partition by base, the active one left out. */
export function logsOf(world: CleanerWorld): Map<number, Buffer> {
  const logs = new Map<number, Buffer>();
  for (const file of world.disk.files()) {
    const match = /^\/data\/orders-0\/(\d{20})\.log$/.exec(file);
    if (match !== null) logs.set(Number(match[1]), Buffer.from(world.disk.file(file).contents));
  }
  logs.delete(Math.max(...logs.keys()));
  return logs;
}

/** Calls that change something, counted from 1: a crash before any other is one after these. */
const CHANGES = new Set(['open', 'write', 'sync', 'rename', 'remove', 'syncDir', 'truncate']);

export function changesAmong(calls: readonly DiskCall[]): number[] {
  return calls.flatMap(({ name }, index) => (CHANGES.has(name) ? [index + 1] : []));
}

export interface Outcome {
  readonly before: Map<number, Buffer>;
  readonly after: Map<number, Buffer>;
  readonly indexesAfter: number;
}

export async function wholeCleaning(): Promise<Outcome> {
  const world = await prepare();
  const before = logsOf(world);
  await cleanWith(world, () => undefined);
  const names = world.disk.files().filter((file) => file.endsWith('.txnindex'));
  return { before, after: logsOf(world), indexesAfter: names.length };
}

/** How many groups are new; a text when one is neither old nor new. */
export function compare(
  found: Map<number, Buffer>,
  { before, after }: Pick<Outcome, 'before' | 'after'>,
): number | string {
  const bases = [...after.keys()];
  const seen = new Map(found);
  let isNew = 0;
  for (const [index, base] of bases.entries()) {
    const next = bases[index + 1] ?? Number.POSITIVE_INFINITY;
    const olds = [...before.keys()].filter((old) => old >= base && old < next);
    if (
      found.get(base)?.equals(after.get(base)!) &&
      olds.every((old) => old === base || !found.has(old))
    ) {
      isNew++;
      seen.delete(base);
    } else if (olds.every((old) => found.get(old)?.equals(before.get(old)!))) {
      for (const old of olds) seen.delete(old);
    } else {
      return `the segments from ${base} are a mix`;
    }
  }
  return seen.size === 0 ? isNew : `there is a segment at ${[...seen.keys()].join()}`;
}

function recordsIn(logs: Map<number, Buffer>): number {
  let records = 0;
  for (const log of logs.values()) {
    for (let at = 0; at < log.length; at += batchBytes(log, at)) records += recordCount(log, at);
  }
  return records;
}

export async function check(
  t: Test,
  world: CleanerWorld,
  outcome: Outcome,
  what: string,
): Promise<void> {
  await world.start();
  const state = compare(logsOf(world), outcome);
  // Each group that is new has an index of its own of the aborted transactions that have markers.
  const indexes = world.disk.files().filter((file) => file.endsWith('.txnindex')).length;
  if (state === outcome.after.size && indexes !== outcome.indexesAfter) {
    t.fail(`${what}: ${indexes} transaction indexes, not ${outcome.indexesAfter}`);
  }
  if (typeof state === 'string') t.fail(`${what}: ${state}`);
  const expected = JSON.stringify([...world.stateBelow(world.log.endOffset)].sort());
  const read = async () => JSON.stringify([...stateOf(await world.readCommitted(0))].sort());
  if ((await read()) !== expected) t.fail(`${what}: another state`);
  const strange = world.disk.files().filter((file) => /\.(deleted|swap|cleaned)$/.test(file));
  if (strange.length > 0) t.fail(`${what}: ${strange.join()} is left over`);
  await world.clean();
  if ((await read()) !== expected) t.fail(`${what}: another state after cleaning again`);
  const again = recordsIn(logsOf(world));
  const once = recordsIn(outcome.after);
  if (again > once) t.fail(`${what}: ${again} records are left after cleaning again, not ${once}`);
  await world.stop();
}

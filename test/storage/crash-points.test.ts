/**
 * A thousand points at which a broker's storage dies: before, after and in the middle of every call
 * of the disk that a run makes in which logs are made, rolled, journaled, flushed, checkpointed,
 * their producers saved, their beginning deleted on request and by retention. By a kill, and by power
 * cuts that keep all, some or nothing of what was not synced. Nothing acknowledged is lost, nothing
 * is there twice or out of order, and the log goes on.
 */

import t, { type Test } from 'tap';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import type { DiskCall, Fate } from '../sim/disk.ts';
import { StoreWorld, TOPIC_ID } from './store-world.ts';

// The machine may be busy with others.
t.setTimeout(240_000);

const LEAST_POINTS = 1000;
const PARTITIONS = 2;
const STEPS = 12;
const READS = new Set(['readFile', 'stat', 'list', 'read']);

interface Ways {
  readonly what: string;
  /** What happens at a call. */
  readonly fate: (call: DiskCall) => Fate;
  /** Of what was not synced so much stays; undefined: the process alone ends. */
  readonly keepChance: number | undefined;
}

const WAYS: readonly Ways[] = [
  { what: 'killed before', fate: () => ({ ends: 'before' }), keepChance: undefined },
  {
    what: 'killed within',
    fate: ({ bytes }) => ({ ends: 'before', writtenBytes: bytes >> 1 }),
    keepChance: undefined,
  },
  { what: 'killed after', fate: () => ({ ends: 'after' }), keepChance: undefined },
  { what: 'power cut before', fate: () => ({ ends: 'before' }), keepChance: 0 },
  { what: 'power cut after', fate: () => ({ ends: 'after' }), keepChance: 0.5 },
];

/** What was sent, by partition and base offset: when, and its checksum, which names its contents. */
class Sent {
  readonly batches = Array.from({ length: PARTITIONS }, () => new Map<number, Batch>());
  readonly acknowledged = Array.from({ length: PARTITIONS }, () => new Set<number>());
  /** The log starts that were answered. */
  readonly starts = new Array<number>(PARTITIONS).fill(0);
}

interface Batch {
  readonly order: number;
  readonly checksum: number;
}

function open(): StoreWorld {
  return new StoreWorld({
    store: { chunkMaxMs: 300, checkpointIntervalMs: 3000, retentionCheckMs: 2500 },
    topic: { segmentBytes: 900, retentionBytes: 2000, fileDeleteDelayMs: 200 },
  });
}

function send(world: StoreWorld, sent: Sent, partition: number, order: number): void {
  const log = world.store.get(TOPIC_ID, partition)!;
  const sequence = sent.batches[partition]!.size * 2;
  const { bytes, header } = world.batch(2, 150, { id: 70 + partition, sequence });
  const checksum = checksumOf(bytes, 0);
  const { baseOffset, lastOffset } = log.append(bytes, header, world.clock.now());
  sent.batches[partition]!.set(baseOffset, { order, checksum });
  log.onMark('durable', lastOffset + 1, (error) => {
    if (error === undefined) sent.acknowledged[partition]!.add(baseOffset);
  });
}

function checksumOf(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at + 17);
}

/** Runs until all is done, or the process has ended. */
async function play(
  fateOf: (call: DiskCall, number: number) => Fate | undefined,
): Promise<{ readonly world: StoreWorld; readonly sent: Sent }> {
  const world = open();
  const sent = new Sent();
  await world.start(PARTITIONS);
  let calls = 0;
  let hasEnded = false;
  world.disk.onEnd = () => {
    hasEnded = true;
  };
  world.disk.onCall = (call) => (READS.has(call.name) ? undefined : fateOf(call, ++calls));
  for (let step = 0; step < STEPS && !hasEnded; step++) {
    send(world, sent, 0, step);
    if (step % 3 === 0) send(world, sent, 1, step);
    await world.clock.advance(700);
    if (step !== 7 || hasEnded) continue;
    const log = world.store.get(TOPIC_ID, 0)!;
    log.deleteRecordsBefore(3).then(
      (start) => {
        sent.starts[0] = start;
      },
      () => undefined,
    );
    await world.clock.advance(100);
  }
  world.disk.onCall = undefined;
  return { world, sent };
}

/** What is read of a log, from its start to its end. */
async function read(world: StoreWorld, partition: number) {
  const log = world.store.get(TOPIC_ID, partition)!;
  const found: { readonly baseOffset: number; readonly checksum: number }[] = [];
  for (let next = log.logStartOffset; next < log.highWatermark; ) {
    const reading = Promise.resolve(log.read(next, 1 << 20, log.highWatermark, true));
    const slice = await world.clock.run(reading);
    const bytes = Buffer.concat(slice.buffers);
    slice.release();
    for (let at = 0; at < bytes.length; ) {
      const header = readBatchHeader(bytes, at);
      if (!header.control) {
        found.push({ baseOffset: header.baseOffset, checksum: checksumOf(bytes, at) });
      }
      at += header.sizeBytes;
    }
    if (slice.nextOffset === next) throw new Error(`nothing at ${next}`);
    next = slice.nextOffset;
  }
  return found;
}

async function check(t: Test, world: StoreWorld, sent: Sent, what: string): Promise<void> {
  await world.start(PARTITIONS);
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const log = world.store.get(TOPIC_ID, partition)!;
    const { logStartOffset } = log;
    if (logStartOffset < sent.starts[partition]!) t.fail(`${what}: the log start went back`);
    const found = await read(world, partition);
    const there = new Set(found.map(({ baseOffset }) => baseOffset));
    for (const base of sent.acknowledged[partition]!) {
      if (base >= logStartOffset && !there.has(base)) t.fail(`${what}: ${base} is lost`);
    }
    let last = -1;
    for (const { baseOffset, checksum } of found) {
      const batch = sent.batches[partition]!.get(baseOffset);
      if (batch?.checksum !== checksum) t.fail(`${what}: ${baseOffset} is another batch`);
      else if (batch.order <= last)
        t.fail(`${what}: ${baseOffset} is out of order, or twice there`);
      else last = batch.order;
    }
    const end = log.endOffset;
    world.appendTo(log, 1);
    if (log.endOffset !== end + 1) t.fail(`${what}: the log does not go on`);
  }
}

t.test('nothing acknowledged is lost, doubled or moved at 1000 crash points', async (t) => {
  const names = new Map<string, number>();
  let count = 0;
  const whole = await play(({ name, path }, number) => {
    count = number;
    const [file = ''] = /[^/.]*(\.(log|journal|snapshot)|checkpoint)/.exec(path) ?? [];
    const kind = `${name} ${file.slice(file.lastIndexOf('.') + 1)}`;
    names.set(kind, (names.get(kind) ?? 0) + 1);
    return undefined;
  });
  t.equal(whole.sent.acknowledged[0]!.size, STEPS, 'all are acknowledged where nothing dies');
  for (const kind of ['write log', 'write journal', 'write snapshot', 'sync log', 'rename log']) {
    t.ok((names.get(kind) ?? 0) > 1, `${kind} is among the calls`);
  }
  t.ok(whole.world.store.get(TOPIC_ID, 0)!.logStartOffset > 4, 'retention has deleted');
  await whole.world.stop();

  let points = 0;
  for (let at = 1; at <= count; at++) {
    for (const { what, fate, keepChance } of WAYS) {
      let call = '';
      const { world, sent } = await play((now, number) => {
        if (number !== at) return undefined;
        call = `${now.name} ${now.path}`;
        return fate(now);
      });
      if (keepChance === undefined) await world.kill();
      else await world.powerCut(keepChance);
      await check(t, world, sent, `${what} call ${at}, ${call}`);
      points += 1;
    }
  }
  t.ok(points >= LEAST_POINTS, `${points} crash points`);
  t.comment(`${points} crash points`);
});

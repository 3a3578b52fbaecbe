/** Compaction under who reads by location: it is announced, and what was given out stays a while. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { AlterOperation } from '../../broker/config-changes.ts';
import { ResourceType } from '../../broker/metadata-image.ts';
import type { Partition } from '../../broker/partition.ts';
import { readBatchHeader } from '../../protocol/record-batch.ts';
import { readRecords } from '../../protocol/records.ts';
import { ask, HttpWorld, numberIn, until } from './http-world.ts';

const ROUNDS = 6;

/** A topic of several segments, not cleaned yet, in which keys are written in each round. */
async function filled(world: HttpWorld): Promise<Partition> {
  const topic = await world.topic('states', {
    'cleanup.policy': 'compact',
    'min.compaction.lag.ms': '3600000',
    'segment.bytes': '1048576',
    'min.cleanable.dirty.ratio': '0.01',
    'file.delete.delay.ms': '2000',
  });
  for (let round = 0; round < ROUNDS; round++) {
    const value = `${round}`.repeat(300_000);
    for (const key of ['a', 'b']) await world.produce(topic, [{ key, value }]);
    await world.produce(topic, [{ key: `only-${round}`, value: 'kept' }]);
    await topic.log.flush();
  }
  return topic;
}

/** From now on the cleaner takes all that is closed. */
async function letClean({ broker }: HttpWorld): Promise<void> {
  const change = { name: 'min.compaction.lag.ms', operation: AlterOperation.set, value: '0' };
  const resource = {
    resourceType: ResourceType.topic,
    resourceName: 'states',
    changes: [change],
    replacesAll: false,
  };
  const outcomes = await broker.services.configChanges.alter([resource], false);
  if (outcomes.some((fault) => fault !== undefined)) throw outcomes[0];
}

/** Reads from an offset to the end, by location where there is one. */
async function readLocated(world: HttpWorld, from: number): Promise<Map<number, string>> {
  const records = new Map<number, string>();
  for (let next = from; ; ) {
    const slice = await world.slice('states', `from=${next}`);
    if (slice.status === 204) return records;
    // While files change places the broker reads for itself.
    const { status, body } =
      slice.status === 200 ? slice : await ask(world.port, slice.headers.location!);
    if (status === 410) continue;
    for (let at = 0; at < body.length; at += readBatchHeader(body, at).sizeBytes) {
      for (const { offset, key } of readRecords(body, at)) {
        if (offset < next) continue;
        if (records.has(offset)) throw new Error(`offset ${offset} comes twice`);
        records.set(offset, String(key));
      }
    }
    next = numberIn(slice, 'next-offset');
  }
}

t.test('after a compaction a slice leads to the new file, the old one stays a while', async (t) => {
  const world = await HttpWorld.start(t, { 'log.cleaner.backoff.ms': '50' });
  const states = await filled(world);
  const before = await world.slice('states', 'from=0');
  const { path: file, position, length } = (await states.log.locate(0, 1 << 30))!;
  const expected = readFileSync(file).subarray(position, position + length);
  const old = before.headers.location!;
  await letClean(world);
  await until(async () => {
    const { headers } = await world.slice('states', 'from=0');
    return headers.location !== undefined && headers.location !== old;
  });
  const answer = await ask(world.port, old);
  t.equal(answer.status, 200, 'who was sent there gets what he was sent for');
  t.ok(answer.body.equals(expected));
  const survivors = await readLocated(world, 0);
  const keys = [...survivors.values()];
  for (let round = 0; round < ROUNDS; round++) {
    t.equal(keys.filter((key) => key === `only-${round}`).length, 1, `only-${round}`);
  }
  t.ok(keys.includes('a') && keys.includes('b'));
  t.ok(keys.length < ROUNDS * 3, 'something was compacted away');
  t.same(
    [...survivors.keys()],
    [...survivors.keys()].toSorted((x, y) => x - y),
    'in order',
  );
  await until(async () => (await ask(world.port, old)).status === 410);
  t.equal((await world.slice('states', 'from=0')).status, 307);
});

import t from 'tap';
import { BATCH_HEADER_BYTES } from '../../protocol/record-batch.ts';
import { BufferPool } from '../../storage/buffer-pool.ts';
import { type FoundLog, readDataFolder } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { JournalInspection } from '../../storage/inspect/journal.ts';
import { readBatches } from '../../storage/inspect/read-batches.ts';
import { readSegmentFacts } from '../../storage/inspect/segment-facts.ts';
import { summarizeSegment } from '../../storage/inspect/segment-summary.ts';
import { FileMap } from './file-map.ts';
import { DATA, LOG, makeDataFolder, verifyAll } from './inspect-world.ts';

const stopped = await makeDataFolder('stop');
const killed = await makeDataFolder('kill');
const buffers = new BufferPool(1 << 20);

async function ordersIn(disk: FileMap): Promise<FoundLog> {
  const { logs } = await readDataFolder(disk, DATA, new Findings());
  return logs.find(({ topic }) => topic === 'orders')!;
}

function damagesIn({ all }: Findings) {
  return all.filter(({ kind }) => kind === 'damage');
}

function namesOf(disk: FileMap, suffix: string): string[] {
  return [...disk.files.keys()].filter((file) => file.startsWith(LOG) && file.endsWith(suffix));
}

t.test('a folder that a store has left is sound, and has a file of every kind', async (t) => {
  for (const suffix of ['.log', '.index', '.timeindex', '.txnindex', '.snapshot']) {
    t.ok(namesOf(stopped, suffix).length > 0, suffix);
  }
  t.ok(namesOf(stopped, '.log').length >= 3, 'several segments');
  t.same((await verifyAll(stopped)).all, []);
  t.equal(stopped.openFiles, 0, 'all files are closed');
});

t.test('what a kill leaves is sound, too', async (t) => {
  const { all, damages } = await verifyAll(killed);
  t.equal(damages, 0, JSON.stringify(all));
});

t.test('every byte that is turned is found, in the file in which it is', async (t) => {
  const kinds = ['.log', '.index', '.timeindex', '.snapshot', 'leader-epoch-checkpoint'];
  let turned = 0;
  for (const kind of kinds) {
    const file = namesOf(stopped, kind)[0]!;
    const whole = stopped.files.get(file)!;
    // The header of a batch byte by byte, the rest of a log here and there.
    for (let at = 0; at < whole.length; at += kind === '.log' && at > 700 ? 11 : 1) {
      const contents = Buffer.from(whole);
      contents[at]! ^= 0x10;
      const { damages, all } = await verifyAll(stopped.with(file, contents));
      turned++;
      if (damages === 0) t.fail(`${file} at ${at}`);
      // The leader epoch of a batch, bytes 12 to 15, is compared with the checkpoint's.
      const isTold = all.some((finding) => finding.file === file);
      if (!isTold && kind !== '.log') t.fail(`${file} at ${at} is told of ${all[0]?.file}`);
    }
  }
  t.ok(turned > 1000, `${turned} bytes`);
});

t.test('zeros behind the entries of a segment that grows are no damage', async (t) => {
  for (const kind of ['.index', '.timeindex']) {
    const [first, last] = [namesOf(stopped, kind)[0]!, namesOf(stopped, kind).at(-1)!];
    const padded = (file: string) =>
      stopped.with(file, Buffer.concat([stopped.files.get(file)!, Buffer.alloc(240)]));
    t.same((await verifyAll(padded(last))).all, []);
    t.equal((await verifyAll(padded(first))).damages, 1, 'but where it is closed they are');
  }
});

t.test('a transaction index that lacks an abort, or has one too many, is found', async (t) => {
  const file = namesOf(stopped, '.txnindex')[0]!;
  const whole = stopped.files.get(file)!;
  const lacking = await verifyAll(stopped.with(file, Buffer.alloc(0)));
  t.match(lacking.all, [{ kind: 'damage', file, position: 0, reason: /is missing/ }]);
  const moved = Buffer.from(whole);
  moved.writeInt32BE(moved.readInt32BE(22) + 1, 22);
  const { all } = await verifyAll(stopped.with(file, moved));
  t.match(all[0], { kind: 'damage', file, reason: /no abort marker|is missing/ });
});

t.test('a segment that is cut anywhere is damage after a clean stop', async (t) => {
  const file = namesOf(stopped, '.log').at(-1)!;
  const whole = stopped.files.get(file)!;
  for (let size = 0; size < whole.length; size += 5) {
    const { damages } = await verifyAll(stopped.with(file, whole.subarray(0, size)));
    if (damages === 0) t.fail(`cut at ${size}`);
  }
  t.pass();
});

t.test('the torn tail of a killed broker is a note, damage before it is not', async (t) => {
  const file = namesOf(killed, '.log').at(-1)!;
  const whole = killed.files.get(file)!;
  const torn = await verifyAll(killed.with(file, Buffer.concat([whole, whole.subarray(0, 70)])));
  t.equal(torn.damages, 0);
  t.match(
    torn.all.find((finding) => finding.file === file),
    {
      position: whole.length,
      reason: /70 bytes of a write that did not end/,
    },
  );
  const spoiled = Buffer.from(whole);
  spoiled[BATCH_HEADER_BYTES + 3]! ^= 1;
  const damaged = await verifyAll(killed.with(file, spoiled));
  t.match(damagesIn(damaged), [{ file, position: 0, reason: /wrong checksum; sound/ }]);
});

t.test('an inspection with a limit stops at the first damage', async (t) => {
  const [first, second] = namesOf(stopped, '.log') as [string, string];
  const spoil = (file: string) => {
    const contents = Buffer.from(stopped.files.get(file)!);
    contents[BATCH_HEADER_BYTES]! ^= 1;
    return contents;
  };
  const both = stopped.with(first, spoil(first)).with(second, spoil(second));
  t.ok((await verifyAll(both)).damages >= 2);
  const one = await verifyAll(both, 1);
  t.equal(one.damages, 1);
  t.match(one.all, [{ file: first, position: 0 }]);
});

t.test('the journal: damage where it was synced, a torn end elsewhere', async (t) => {
  const journal = await JournalInspection.open(killed, DATA);
  const items = [...journal.items()];
  await journal.close();
  const batches = items.filter(({ what }) => what.kind === 'batches');
  t.ok(batches.length > 3);
  const turn = (path: string, position: number) => {
    const contents = Buffer.from(killed.files.get(path)!);
    contents[position]! ^= 1;
    return verifyAll(killed.with(path, contents));
  };
  const first = batches.find(({ wasSynced }) => wasSynced)!;
  const inBatch = await turn(first.path, first.position + BATCH_HEADER_BYTES);
  t.match(damagesIn(inBatch), [{ file: first.path, reason: /wrong checksum/ }]);
  const inGroup = await turn(first.path, 512 + 8);
  t.match(damagesIn(inGroup), [{ position: 512, reason: /no sound group/ }]);
  const last = batches.at(-1)!;
  t.notOk(last.wasSynced, 'nothing says yet that the last group was synced');
  const atEnd = await turn(last.path, last.position + BATCH_HEADER_BYTES);
  t.equal(atEnd.damages, 0);
  t.match(atEnd.all.at(-1), { kind: 'note', reason: /wrong checksum; it was not synced/ });
});

t.test('facts and sums of segments agree with each other and with the log', async (t) => {
  const log = await ordersIn(stopped);
  const facts = await readSegmentFacts(stopped, buffers, log);
  let next = 0;
  let records = 0;
  for (const one of facts) {
    const sum = (await summarizeSegment(stopped, buffers, one.segment))!;
    t.equal(one.segment.baseOffset, next);
    t.equal(sum.nextOffset, one.nextOffset);
    t.equal(sum.maxTimestamp, one.largestTimestamp);
    t.equal(sum.minTimestamp, one.firstTimestamp);
    t.equal(sum.keptRatio, 1);
    t.equal(one.indexFault, undefined);
    next = one.nextOffset;
    records += sum.records;
  }
  t.equal(records, next);
  t.match(facts[0], { isActive: false });
  t.equal(facts.at(-1)!.isActive, true);
  t.equal(log.recoveryPoint, next);
});

t.test('files that a running broker takes away meanwhile are stepped over', async (t) => {
  const log = await ordersIn(killed);
  const gone = killed.with(log.segments[0]!.path, undefined);
  t.equal((await readSegmentFacts(gone, buffers, log)).length, log.segments.length - 1);
  t.equal(await summarizeSegment(gone, buffers, log.segments[0]!), undefined);
  const kinds: string[] = [];
  for await (const { kind } of readBatches(gone, buffers, log)) kinds.push(kind);
  t.equal(kinds[0], 'unreadable');
  t.ok(kinds.includes('batch'));
});

t.test('batches are read from any offset to any other, over damage', async (t) => {
  const log = await ordersIn(stopped);
  const end = log.recoveryPoint!;
  const read = async (disk: FileMap, from?: number, to?: number) => {
    const bases: number[] = [];
    let unreadable = 0;
    for await (const item of readBatches(disk, buffers, log, from, to)) {
      if (item.kind === 'batch') bases.push(item.header.baseOffset);
      else unreadable++;
    }
    return { bases, unreadable };
  };
  const { bases } = await read(stopped);
  for (let from = 0; from <= end; from++) {
    const first = bases.findLastIndex((base) => base <= from);
    const expected = from === end ? [] : bases.slice(first).filter((base) => base < from + 5);
    t.same((await read(stopped, from, from + 5)).bases, expected, `from ${from}`);
  }
  const file = log.segments[1]!.path;
  const contents = Buffer.from(stopped.files.get(file)!);
  contents[BATCH_HEADER_BYTES]! ^= 1;
  const damaged = await read(stopped.with(file, contents));
  t.equal(damaged.unreadable, 1);
  t.same(
    damaged.bases,
    bases.filter((base) => base !== log.segments[1]!.baseOffset),
  );
  t.equal(stopped.openFiles, 0);
});

t.test('what is no data folder is refused, and foreign files are left alone', async (t) => {
  await t.rejects(readDataFolder(stopped, '/nowhere', new Findings()), /there is no folder/);
  const file = namesOf(stopped, '.log')[0]!;
  await t.rejects(readDataFolder(stopped, file, new Findings()), /is not a folder/);
  const other = new FileMap(new Map([['/etc/passwd', Buffer.from('x')]]));
  await t.rejects(readDataFolder(other, '/etc', new Findings()), /it has no logs/);
  const disk = stopped
    .with(`${LOG}/notes.txt`, Buffer.from('mine'))
    .with(`${LOG}/00000000000000099999.index`, Buffer.alloc(8))
    .with(`${LOG}/00000000000000000000.log.deleted`, Buffer.alloc(8));
  const { damages, all } = await verifyAll(disk);
  t.equal(damages, 0);
  t.match(
    all.map(({ kind }) => kind),
    ['note', 'note', 'note'],
  );
});

/**
 * The checker of damage on the disk: bits are flipped in files of a broker that was stopped. Started
 * again, it gives every record as it was, or says that it is damaged. Of a log as much may be
 * missing as one batch for each bit; what files beside the log have lost is made anew from it.
 */

import { ErrorCode } from '../../../protocol/errors.ts';
import { type Administrator, EARLIEST, LATEST } from '../administration.ts';
import { restart, stopOrderly } from '../disturbance.ts';
import { type History, nameOf, type Place, type Seen, short } from '../history.ts';
import type { SeededRandom } from '../random.ts';
import { Reader } from '../readers.ts';
import type { Run } from '../run.ts';
import type { WholeLog } from './logs.ts';
import { takeBatches } from './polls.ts';

const MOST_BITS = 3;
/** What is made anew where it is damaged, and the records themselves. */
const FILES = /\.(log|index|timeindex|snapshot)$|-checkpoint$/;

/** Steps over what the broker says is damaged. */
class PatientReader extends Reader {
  /** Offsets that were refused. */
  refused = 0;
  #isRefused = false;

  /** Goes on at the next of these records where it is refused. */
  async readTo(end: number, records: readonly Seen[]): Promise<void> {
    while (this.position < end) {
      await this.until(() => this.#poll());
      if (!this.#isRefused) continue;
      this.refused++;
      this.position = records.find(({ offset }) => offset > this.position)?.offset ?? end;
    }
  }

  async #poll(): Promise<true | undefined> {
    const answer = await this.fetch();
    this.#isRefused = answer.errorCode === ErrorCode.CORRUPT_MESSAGE;
    if (this.#isRefused) return true;
    if (answer.errorCode !== 0) return this.isToRepeat(answer.errorCode, 'a fetch');
    const lawful = { gaps: true, control: true };
    const taken = await takeBatches(answer.records ?? Buffer.alloc(0), this.position, lawful);
    if (taken.fault !== undefined) this.violate('rot', `at ${this.position}: ${taken.fault}`);
    this.taken.push(...taken.records);
    this.position = taken.nextOffset;
    return true;
  }
}

/** Flips bits in files of these partitions; gives how many of each partition's logs were hit. */
function flipBits({ world, history }: Run, places: readonly Place[], random: SeededRandom) {
  const hits = new Map<string, number>();
  const folders = places.map((place) => `/data/${nameOf(place)}/`);
  const isOfPlace = (file: string) => folders.some((folder) => file.startsWith(folder));
  const isShared = (file: string) => file.startsWith('/data/') && file.endsWith('-checkpoint');
  const files = world.disk
    .files()
    .filter((file) => FILES.test(file) && (isOfPlace(file) || isShared(file)))
    .filter((file) => world.disk.file(file).sizeBytes > 0);
  for (let left = 1 + random.below(MOST_BITS); left > 0 && files.length > 0; left--) {
    const name = random.pick(files);
    const file = world.disk.file(name);
    const position = random.below(file.sizeBytes);
    file.flip(position, 1 << random.below(8));
    history.note('disk:', `flipped a bit at ${position} of ${name}`);
    const folder = folders.findIndex((each) => name.startsWith(each));
    if (folder < 0 || !name.endsWith('.log')) continue;
    const partition = nameOf(places[folder]!);
    hits.set(partition, (hits.get(partition) ?? 0) + 1);
  }
  return hits;
}

/** Stretches of records that were there before and are not now. */
function missingStretches(before: readonly Seen[], now: ReadonlyMap<number, Seen>): number {
  let stretches = 0;
  let wasThere = true;
  for (const { offset } of before) {
    const isThere = now.has(offset);
    if (!isThere && wasThere) stretches++;
    wasThere = isThere;
  }
  return stretches;
}

function compare(history: History, before: WholeLog, now: readonly Seen[], hits: number): void {
  const place = nameOf(before.place);
  const found = new Map(now.map((seen) => [seen.offset, seen]));
  const stretches = missingStretches(before.records, found);
  if (stretches > hits) {
    history.violate('rot', place, `lost ${stretches} stretches, ${hits} bits of its log were hit`);
  }
  const known = new Map(before.records.map((seen) => [seen.offset, seen]));
  for (const { offset, value } of now) {
    const was = known.get(offset)?.value;
    if (was != null && value !== null && was.equals(value)) continue;
    const name = was == null ? 'nothing' : short(was);
    history.violate('rot', place, `${offset} was ${name}, is ${value?.toString('latin1', 0, 30)}`);
  }
}

/** Damages what is on the disk, starts the broker again and reads everything. */
export async function checkRot(
  run: Run,
  admin: Administrator,
  places: readonly Place[],
  random: SeededRandom,
): Promise<void> {
  const { world, history } = run;
  const logs: WholeLog[] = [];
  for (const place of places) logs.push(await admin.audit(place));
  let hits = new Map<string, number>();
  await restart(run, random, async () => {
    await stopOrderly(run);
    world.hasFaults = true;
    hits = flipBits(run, places, random);
  });
  for (const log of logs) {
    const reader = new PatientReader(run, `patient-${nameOf(log.place)}`, log.place);
    reader.position = await admin.offset(log.place, EARLIEST);
    await reader.readTo(await admin.offset(log.place, LATEST), log.records);
    reader.leave();
    history.note(reader.name, `read ${reader.taken.length}, refused ${reader.refused} offsets`);
    compare(history, log, reader.taken, hits.get(nameOf(log.place)) ?? 0);
  }
}

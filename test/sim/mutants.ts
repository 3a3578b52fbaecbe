/**
 * Brokers that are wrong on purpose, one for each checker, so that it is known to speak: by a disk
 * that does less than it says, or by methods that are exchanged while one simulation runs. The
 * broker's code knows nothing of it.
 */

import { Group } from '../../broker/groups/group.ts';
import { LogWriter as CommitWriter } from '../../broker/groups/log-writer.ts';
import { GroupOffsets } from '../../broker/groups/offsets.ts';
import { MemoryBudget, type MemoryUser } from '../../broker/memory-budget.ts';
import { Outbox } from '../../broker/outbox.ts';
import { Partition } from '../../broker/partition.ts';
import { Participant } from '../../broker/transactions/participation.ts';
import { Watchers, WatchList } from '../../broker/watchers.ts';
import { OffsetMap } from '../../storage/cleaner/offset-map.ts';
import type { Disk, DiskFile, OpenMode } from '../../storage/env.ts';
import { InvalidProducerEpoch, LogFailed, OutOfOrderSequence } from '../../storage/errors.ts';
import { FlushQueue } from '../../storage/flush-queue.ts';
import { LogReader } from '../../storage/log-reader.ts';
import { LogWriter } from '../../storage/log-writer.ts';
import { ProducerStates } from '../../storage/producer-state.ts';
import { Removals } from '../../storage/removals.ts';
import { Retention } from '../../storage/retention.ts';
import { Segment } from '../../storage/segment.ts';
import { StoreCheckpoints } from '../../storage/store-checkpoints.ts';
import type { CheckerName } from './checkers/names.ts';
import type { Trouble } from './disturbance.ts';
import type { PartName } from './scenario.ts';
import type { Tampering } from './world.ts';

export interface Mutant {
  readonly name: string;
  /** The checker that must speak. */
  readonly checker: CheckerName;
  readonly parts: readonly PartName[];
  readonly troubles: readonly Trouble[];
  readonly tampering?: Tampering;
  /** Exchanges what is wrong; gives what puts it right again. */
  readonly exchange?: () => () => void;
}

/** Exchanges one method of a class for what `make` makes of it. */
function exchange<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  make: (original: T[K]) => T[K],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

/** Exchanges one getter of a class. */
function exchangeGetter<T extends object>(
  prototype: T,
  name: keyof T,
  get: (this: T) => unknown,
): () => void {
  const original = Object.getOwnPropertyDescriptor(prototype, name)!;
  Object.defineProperty(prototype, name, { ...original, get });
  return () => Object.defineProperty(prototype, name, original);
}

/** Every so many calls something goes wrong. */
function every(count: number): () => boolean {
  let calls = 0;
  return () => ++calls % count === 0;
}

/** A disk some of whose files are not synced, though it says so. */
function withoutSyncs(isHit: (path: string) => boolean): (disk: Disk) => Disk {
  return (disk) => {
    const open = disk.open.bind(disk);
    const lying = async (path: string, mode: OpenMode): Promise<DiskFile> => {
      const file = await open(path, mode);
      return isHit(path)
        ? Object.assign(file, { sync: () => Promise.resolve(), syncSync: () => {} })
        : file;
    };
    return Object.assign(disk, { open: lying });
  };
}

const isJournal = (path: string) => path.endsWith('.journal');

/** A disk to which the journal is written only when it is synced. */
function withLateWrites(disk: Disk): Disk {
  const open = disk.open.bind(disk);
  const late = async (path: string, mode: OpenMode): Promise<DiskFile> => {
    const file = await open(path, mode);
    if (!isJournal(path)) return file;
    const { write, sync } = { write: file.write.bind(file), sync: file.sync.bind(file) };
    const writeSync = file.writeSync.bind(file);
    const syncSync = file.syncSync.bind(file);
    const kept: { readonly bytes: Buffer; readonly position: number }[] = [];
    const keep = (buffers: readonly Buffer[], position: number) => {
      kept.push({ bytes: Buffer.concat(buffers), position });
    };
    return Object.assign(file, {
      write: async (buffers: readonly Buffer[], position: number) => keep(buffers, position),
      writeSync: keep,
      sync: async () => {
        for (const { bytes, position } of kept.splice(0)) await write([bytes], position);
        await sync();
      },
      syncSync: () => {
        for (const { bytes, position } of kept.splice(0)) writeSync([bytes], position);
        syncSync();
      },
    });
  };
  return Object.assign(disk, { open: late });
}

/** A disk that does not sync the names in the folders of partitions, though it says so. */
function withoutNames(disk: Disk): Disk {
  const syncDir = disk.syncDir.bind(disk);
  const isHit = (folder: string) => /\/(plain|safe)-\d$/.test(folder);
  const lying = (folder: string) => (isHit(folder) ? Promise.resolve() : syncDir(folder));
  return Object.assign(disk, { syncDir: lying });
}

const BREAKS: readonly Trouble[] = ['connections cut', 'kill', 'crash at an await'];
const POWER: readonly Trouble[] = ['power cut', 'crash at a call, power cut'];

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'acknowledges before the sync',
    checker: 'acknowledged',
    parts: ['plain'],
    troubles: POWER,
    tampering: { disk: withoutSyncs(isJournal) },
  },
  {
    name: 'does not sync the folders of partitions',
    checker: 'acknowledged',
    parts: ['plain'],
    troubles: POWER,
    tampering: { disk: withoutNames },
  },
  {
    name: 'forgets the last batch of each producer',
    checker: 'acknowledged',
    parts: ['plain'],
    troubles: BREAKS,
    exchange: () =>
      exchange(
        ProducerStates.prototype,
        'check',
        (check) =>
          function (this: ProducerStates, header, origin) {
            const original = check.call(this, header, origin);
            const last = this.get(header.producerId)?.batches.at(-1);
            return original?.lastOffset === last?.lastOffset ? undefined : original;
          },
      ),
  },
  {
    name: 'takes sequences as they come',
    checker: 'order',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isRefused = every(8);
      const forgiving = forgiveOf(OutOfOrderSequence);
      const refusing = exchange(
        ProducerStates.prototype,
        'check',
        (check) =>
          function (this: ProducerStates, header, origin) {
            if (isRefused()) throw new LogFailed('refused, and the next one taken');
            return check.call(this, header, origin);
          },
      );
      return () => {
        refusing();
        forgiving();
      };
    },
  },
  {
    name: 'keeps what it refuses',
    checker: 'phantom',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(9);
      return exchange(
        LogWriter.prototype,
        'onMark',
        (onMark) =>
          function (this: LogWriter, mark, end, done) {
            const refused = () => done(new LogFailed('refused, and kept'));
            onMark.call(this, mark, end, mark === 'written' && isWrong() ? refused : done);
          },
      );
    },
  },
  {
    name: 'forgets its leases on offsets',
    checker: 'offset',
    parts: ['plain'],
    troubles: POWER,
    tampering: { bootId: 'the same for ever' },
  },
  {
    name: 'leaves a record out of a fetch',
    checker: 'poll',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(5);
      return exchange(
        LogReader.prototype,
        'read',
        (read) =>
          function (this: LogReader, from, maxBytes, limit, ...rest) {
            const next = from + 1 < limit && isWrong() ? from + 1 : from;
            return read.call(this, next, maxBytes, limit, ...rest);
          },
      );
    },
  },
  {
    name: 'shows what it keeps to itself until the next sync',
    checker: 'ghost',
    parts: ['plain'],
    troubles: ['kill', 'crash at an await'],
    tampering: { disk: withLateWrites },
  },
  {
    name: 'acknowledges commits that it does not write',
    checker: 'commit',
    parts: ['plain', 'group'],
    troubles: ['kill'],
    exchange: () => {
      let offset = 0;
      return exchange(
        CommitWriter.prototype,
        'write',
        (write) =>
          function (this: CommitWriter, written) {
            if (!Array.isArray(written.records)) return write.call(this, written);
            written.apply(() => offset++);
            written.settled?.();
            return Promise.resolve();
          },
      );
    },
  },
  {
    name: 'takes the high watermark for the last stable offset',
    checker: 'transaction',
    parts: ['ledger'],
    troubles: ['clock jump'],
    exchange: () =>
      exchangeGetter(LogWriter.prototype, 'lastStableOffset', function (this: LogWriter) {
        return this.highWatermark;
      }),
  },
  {
    name: 'skips markers',
    checker: 'hanging',
    parts: ['ledger'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(7);
      return exchange(
        Partition.prototype,
        'appendMarker',
        (append) =>
          function (this: Partition, marker) {
            if (!isWrong()) return append.call(this, marker);
            return Promise.resolve({ baseOffset: 0, lastOffset: 0 });
          },
      );
    },
  },
  {
    name: 'lets producers go on that were followed',
    checker: 'zombie',
    parts: ['ledger'],
    troubles: ['clock jump'],
    exchange: () => {
      const undo = [
        exchange(Participant.prototype, 'fault', () => () => undefined),
        forgiveOf(InvalidProducerEpoch),
      ];
      return () => {
        for (const step of undo) step();
      };
    },
  },
  {
    name: 'drops the offsets of transactions',
    checker: 'exactly once',
    parts: ['pipeline'],
    troubles: ['connections cut'],
    exchange: () =>
      exchange(
        GroupOffsets.prototype,
        'endTransaction',
        (end) =>
          function (this: GroupOffsets, producerId) {
            end.call(this, producerId, false);
          },
      ),
  },
  {
    name: 'cleans the newest record of a key away',
    checker: 'compaction',
    parts: ['cleaned'],
    troubles: ['clock jump'],
    exchange: () =>
      exchange(
        OffsetMap.prototype,
        'find',
        (find) =>
          function (this: OffsetMap, slot) {
            return find.call(this, slot) + 1;
          },
      ),
  },
  {
    name: 'does not record where a log starts',
    checker: 'start',
    parts: ['trimmed'],
    troubles: ['kill'],
    exchange: () =>
      exchange(StoreCheckpoints.prototype, 'saveLogStarts', () => () => Promise.resolve()),
  },
  {
    name: 'gives all members the same partitions',
    checker: 'group',
    parts: ['group'],
    troubles: ['clock jump'],
    exchange: () =>
      exchange(
        Group.prototype,
        'sync',
        (sync) =>
          function (this: Group, request, answer) {
            const [first] = request.assignments;
            const assignments = request.assignments.map((each) => ({
              ...each,
              ...assignmentOf(first),
            }));
            sync.call(this, { ...request, assignments }, answer);
          },
      ),
  },
  {
    name: 'forgets topics',
    checker: 'topic',
    parts: ['topics'],
    troubles: POWER,
    tampering: { disk: withoutSyncs(isJournal) },
  },
  {
    name: 'takes more than there is room for',
    checker: 'memory',
    parts: ['overload'],
    troubles: ['slow disk'],
    exchange: () => exchange(FlushQueue.prototype, 'admit', () => () => undefined),
  },
  {
    name: 'forgets its watchers',
    checker: 'watcher',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () =>
      exchange(
        WatchList.prototype,
        'advance',
        () =>
          function (this: WatchList, position) {
            this.position = position;
          },
      ),
  },
  {
    name: 'answers fetches before their time',
    checker: 'watcher',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () =>
      exchange(
        Watchers.prototype,
        'wait',
        (wait) =>
          function (this: Watchers, waiting, slices, minBytes, maxWaitMs, connection) {
            wait.call(this, waiting, slices, minBytes, maxWaitMs / 2, connection);
          },
      ),
  },
  {
    name: 'does not give the memory of an answer back',
    checker: 'released',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(50);
      return exchange(
        MemoryBudget.prototype,
        'give',
        (give) =>
          function (this: MemoryBudget, user: MemoryUser, sizeBytes: number) {
            if (user !== 'answers' || !isWrong()) give.call(this, user, sizeBytes);
          },
      );
    },
  },
  {
    name: 'leaves files open',
    checker: 'released',
    parts: ['expiring'],
    troubles: ['clock jump'],
    exchange: () => exchange(Removals.prototype, 'stop', () => async () => {}),
  },
  {
    name: 'loses an answer',
    checker: 'answer',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(70);
      return exchange(
        Outbox.prototype,
        'send',
        (send) =>
          function (this: Outbox, exchanged) {
            if (!isWrong()) send.call(this, exchanged);
          },
      );
    },
  },
  {
    name: 'refuses without a reason',
    checker: 'error',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => {
      const isWrong = every(10);
      return exchange(
        ProducerStates.prototype,
        'check',
        (check) =>
          function (this: ProducerStates, header, origin) {
            if (isWrong()) throw new OutOfOrderSequence('it was not');
            return check.call(this, header, origin);
          },
      );
    },
  },
  {
    name: 'believes what it reads',
    checker: 'rot',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () => exchange(Segment.prototype, 'isVerified', () => () => true),
  },
  {
    name: 'fails at work that nobody waits for',
    checker: 'complaint',
    parts: ['plain'],
    troubles: ['clock jump'],
    exchange: () =>
      exchange(Retention.prototype, 'run', () => () => {
        throw new TypeError('a bug');
      }),
  },
];

/** Batches are taken that are refused with this error. */
function forgiveOf(Refusal: typeof OutOfOrderSequence | typeof InvalidProducerEpoch): () => void {
  return exchange(
    ProducerStates.prototype,
    'check',
    (check) =>
      function (this: ProducerStates, header, origin) {
        try {
          return check.call(this, header, origin);
        } catch (error) {
          if (error instanceof Refusal) return undefined;
          throw error;
        }
      },
  );
}

function assignmentOf(each: { readonly assignment: Buffer } | undefined) {
  return each === undefined ? {} : { assignment: each.assignment };
}

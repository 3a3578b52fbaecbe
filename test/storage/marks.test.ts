import fc from 'fast-check';
import t from 'tap';
import { LogMarks } from '../../storage/marks.ts';

t.test('a range on a detour holds back what the journal wrote behind it', async (t) => {
  const marks = new LogMarks(0);
  marks.lease(1000);
  marks.journalWrote(10);
  marks.detour(10, 20);
  marks.journalWrote(30);
  marks.update(true);
  t.equal(marks.written, 10);
  marks.segmentsWrote(20);
  marks.update(true);
  t.equal(marks.written, 30);
  t.equal(marks.durable, 0);
  marks.segmentsSynced(20);
  marks.journalSynced(30);
  marks.update(true);
  t.equal(marks.durable, 30);
  t.equal(marks.persisted, 20);
});

t.test('nothing counts as written beyond the lease unless it is durable', async (t) => {
  const marks = new LogMarks(5);
  marks.journalWrote(100);
  marks.update(true);
  t.equal(marks.written, 5);
  marks.lease(50);
  marks.update(true);
  t.equal(marks.written, 50);
  marks.journalSynced(100);
  marks.update(true);
  t.equal(marks.written, 100);
});

t.test('a topic whose readers see durable data only needs no lease', async (t) => {
  const marks = new LogMarks(0);
  marks.journalWrote(7);
  marks.update(false);
  t.equal(marks.written, 7);
  t.equal(marks.durable, 0);
});

/** A range on its way, as the model keeps it. */
interface Range {
  base: number;
  end: number;
  isDetour: boolean;
  written: boolean;
  durable: boolean;
}

/** Contiguous prefix of the ranges for which `holds`. */
function prefix(ranges: readonly Range[], holds: (range: Range) => boolean): number {
  let reached = 0;
  for (const range of ranges) {
    if (!holds(range)) break;
    reached = range.end;
  }
  return reached;
}

t.test('written and durable are the contiguous prefixes over both ways', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('journal' as const), size: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constant('detour' as const), size: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ kind: fc.constantFrom('wrote', 'synced', 'segWrote', 'segSynced' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const marks = new LogMarks(0);
      const ranges: Range[] = [];
      let persisted = 0;
      for (const item of steps) {
        if ('size' in item) {
          const base = ranges.at(-1)?.end ?? 0;
          const isDetour = item.kind === 'detour';
          ranges.push({ base, end: base + item.size, isDetour, written: false, durable: false });
          if (isDetour) marks.detour(base, base + item.size);
          continue;
        }
        const journaled = ranges.filter((range) => !range.isDetour);
        if (item.kind === 'wrote') {
          const next = journaled.find((range) => !range.written);
          if (next === undefined) continue;
          next.written = true;
          marks.journalWrote(next.end);
        } else if (item.kind === 'synced') {
          const done = journaled.filter((range) => range.written);
          for (const range of done) range.durable = true;
          if (done.length > 0) marks.journalSynced(done.at(-1)!.end);
        } else {
          // The segments take all that lies before the end of the first unfinished detour.
          const detour = ranges.find((range) => range.isDetour && !range.durable);
          if (detour === undefined) continue;
          const isSynced = item.kind === 'segSynced';
          for (const range of ranges) {
            if (range.end > detour.end) continue;
            range.written = true;
            if (isSynced) range.durable = true;
          }
          marks.segmentsWrote(detour.end);
          if (isSynced) {
            persisted = detour.end;
            marks.segmentsSynced(persisted);
          }
        }
        marks.update(false);
        const written = prefix(ranges, (range) => range.written);
        const durable = prefix(ranges, (range) => range.durable);
        if (marks.written > written) throw new Error(`written ${marks.written} > ${written}`);
        if (marks.durable > durable) throw new Error(`durable ${marks.durable} > ${durable}`);
        if (marks.written !== written && persisted !== marks.written) {
          throw new Error(`written ${marks.written} instead of ${written}`);
        }
        if (!(marks.persisted <= marks.durable && marks.durable <= marks.written)) {
          throw new Error('the marks are out of order');
        }
      }
    }),
    { numRuns: 500 },
  );
});

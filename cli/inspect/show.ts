/**
 * `tailrace segments show`: one log in full. Reads the headers of all its batches.
 */

import path from 'node:path';
import { codecNames } from '../../protocol/compression.ts';
import { LEADER_EPOCHS_FILE, parseCheckpoint } from '../../storage/checkpoint.ts';
import { CorruptLog } from '../../storage/errors.ts';
import type { FoundLog } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { type JournaledTail, JournalInspection } from '../../storage/inspect/journal.ts';
import type { LiveLog } from '../../storage/inspect/live.ts';
import { readSegmentFacts, type SegmentFacts } from '../../storage/inspect/segment-facts.ts';
import { type SegmentSummary, summarizeSegment } from '../../storage/inspect/segment-summary.ts';
import { journalKey } from '../../storage/journal-replay.ts';
import { decodeSnapshot } from '../../storage/producer-snapshot.ts';
import { SNAPSHOT_SUFFIX, segmentFileName } from '../../storage/segment-names.ts';
import { askBroker, liveText } from './live.ts';
import { type Cell, print, printJson, ratioText, sizeText, tableText, timeText } from './output.ts';
import { buffers, disk, type SourceOptions, select } from './source.ts';
import { tellFindings } from './tell.ts';

const HEAD = [
  'base',
  'next',
  'size',
  'batches',
  'records',
  'kept',
  'codecs',
  'producers',
  'txn',
  'control',
  'empty',
  'from',
  'to',
  'indexes',
  'generation',
];

interface SegmentView {
  readonly facts: SegmentFacts;
  readonly summary: SegmentSummary;
}

/** One log, with what follows from all its segments. */
interface LogView {
  readonly log: FoundLog;
  readonly segments: readonly SegmentView[];
  readonly epochs: readonly { readonly epoch: number; readonly startOffset: number }[];
  readonly producers: ProducersView | undefined;
  /** What the journal holds of it. */
  readonly journal: JournaledTail | undefined;
  /** What its broker says, while one runs. */
  readonly live: LiveLog | undefined;
}

/** The newest producer snapshot. */
interface ProducersView {
  readonly offset: number;
  readonly count: number;
  readonly openTransactions: number;
}

export async function showLogs(names: readonly string[], options: SourceOptions): Promise<void> {
  const findings = new Findings();
  const { folder, logs } = await select(options, names, findings);
  const tails = folder === undefined ? new Map() : await readTails(folder.path);
  const broker = folder && (await askBroker(folder.path));
  for (const log of logs) {
    const tail = log.topicId && tails.get(journalKey(log.topicId, log.partition));
    const view = await readView(log, tail, broker?.logs.get(log.name), findings);
    if (options.json) printJson(viewJson(view));
    else print(`${viewText(view)}\n`);
  }
  tellFindings(findings);
}

async function readTails(dataDir: string): Promise<Map<string, JournaledTail>> {
  const journal = await JournalInspection.open(disk, dataDir);
  try {
    return journal.tails();
  } finally {
    await journal.close();
  }
}

async function readView(
  log: FoundLog,
  journal: JournaledTail | undefined,
  live: LiveLog | undefined,
  findings: Findings,
): Promise<LogView> {
  const segments: SegmentView[] = [];
  for (const facts of await readSegmentFacts(disk, buffers, log)) {
    const summary = await summarizeSegment(disk, buffers, facts.segment);
    if (summary === undefined) continue;
    const { fault } = summary;
    if (fault !== undefined) findings.damage(facts.segment.path, fault.position, fault.reason);
    segments.push({ facts, summary });
  }
  const epochs = await readEpochs(log, findings);
  const producers = await readProducers(log, findings);
  return { log, segments, epochs, producers, journal, live };
}

async function readEpochs(log: FoundLog, findings: Findings) {
  const file = path.join(log.folder, LEADER_EPOCHS_FILE);
  const contents = await disk.readFile(file);
  try {
    return contents === undefined
      ? []
      : parseCheckpoint(contents, file).map(([epoch, startOffset]) => ({
          epoch: Number(epoch),
          startOffset: Number(startOffset),
        }));
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
    findings.damage(file, undefined, error.message);
    return [];
  }
}

async function readProducers(
  log: FoundLog,
  findings: Findings,
): Promise<ProducersView | undefined> {
  const offset = log.snapshots.at(-1);
  if (offset === undefined) return undefined;
  const file = path.join(log.folder, segmentFileName(offset, SNAPSHOT_SUFFIX));
  const contents = await disk.readFile(file);
  if (contents === undefined) return undefined;
  try {
    const entries = decodeSnapshot(contents, 0);
    const open = entries.filter(({ currentTxnFirstOffset }) => currentTxnFirstOffset >= 0);
    return { offset, count: entries.length, openTransactions: open.length };
  } catch (error) {
    if (!(error instanceof CorruptLog)) throw error;
    findings.damage(file, undefined, error.message);
    return undefined;
  }
}

/** Share of the offsets still there, of all and of those that the cleaner has been over. */
function keptRatios({ log, segments }: LogView) {
  const { firstDirtyOffset } = log;
  const ratio = (views: readonly SegmentView[]) => {
    const first = views[0]?.facts.segment.baseOffset ?? 0;
    const offsets = (views.at(-1)?.summary.nextOffset ?? first) - first;
    let records = 0;
    for (const { summary } of views) records += summary.records;
    return offsets === 0 ? undefined : records / offsets;
  };
  const cleaned = segments.filter(
    ({ facts }) => firstDirtyOffset !== undefined && facts.nextOffset <= firstDirtyOffset,
  );
  return { all: ratio(segments), cleaned: ratio(cleaned) };
}

function sizeOf(segments: readonly SegmentView[]): number {
  return segments.reduce((sum, { facts }) => sum + facts.segment.sizeBytes, 0);
}

function codecsText({ batchesByCodec }: SegmentSummary): string {
  const parts: string[] = [];
  for (const [codec, count] of batchesByCodec.entries()) {
    if (count > 0) parts.push(`${codecNames[codec] ?? codec} ${count}`);
  }
  return parts.join(', ');
}

function viewText(view: LogView): string {
  const { log, segments, epochs, producers, journal, live } = view;
  const kept = keptRatios(view);
  const first = log.logStartOffset ?? segments[0]?.facts.segment.baseOffset ?? 0;
  const end = segments.at(-1)?.facts.nextOffset ?? first;
  const lines = [
    `${log.name}  topic id ${log.topicId ?? 'unknown'}  ${log.folder}`,
    `  offsets ${first} to ${end}, recovery point ${log.recoveryPoint ?? 'none'}, ` +
      `${sizeText(sizeOf(segments))} in ${segments.length} segments`,
  ];
  if (kept.all !== undefined) {
    const dirty =
      log.firstDirtyOffset === undefined ? 'never cleaned' : `clean to ${log.firstDirtyOffset}`;
    const cleaned =
      kept.cleaned === undefined ? '' : `, ${ratioText(kept.cleaned)} of the clean part`;
    lines.push(`  ${ratioText(kept.all)} of the offsets have a record${cleaned}; ${dirty}`);
  }
  const newest = epochs.slice(-5).map(({ epoch, startOffset }) => `${epoch} from ${startOffset}`);
  if (newest.length > 0)
    lines.push(`  leader epochs (last ${newest.length}): ${newest.join(', ')}`);
  if (producers !== undefined) {
    const { count, openTransactions, offset } = producers;
    lines.push(`  ${count} producers, ${openTransactions} open transactions at offset ${offset}`);
  }
  if (journal?.end !== undefined) {
    const { from, end: last, sizeBytes, leaseEnd } = journal;
    const lease = leaseEnd === undefined ? '' : `, offsets leased to ${leaseEnd}`;
    lines.push(`  in the journal: offsets ${from} to ${last}, ${sizeText(sizeBytes)}${lease}`);
  }
  if (live !== undefined) lines.push(`  ${liveText(live)}`);
  if (log.passing.length > 0) lines.push(`  on their way in or out: ${log.passing.join(', ')}`);
  if (log.foreign.length > 0) lines.push(`  no part of a log: ${log.foreign.join(', ')}`);
  return `${lines.join('\n')}\n${tableText(HEAD, segments.map(segmentRow))}`;
}

function segmentRow({ facts, summary }: SegmentView): Cell[] {
  return [
    summary.baseOffset,
    summary.nextOffset,
    sizeText(summary.sizeBytes),
    summary.batches,
    summary.records,
    ratioText(summary.keptRatio),
    codecsText(summary),
    summary.producers,
    summary.transactionalBatches,
    summary.controlBatches,
    summary.emptyBatches,
    timeText(summary.minTimestamp),
    timeText(summary.maxTimestamp),
    facts.indexFault ?? `${facts.indexEntries}/${facts.timeIndexEntries}`,
    facts.generation,
  ];
}

function viewJson(view: LogView): object {
  const { log, segments, epochs, producers, journal } = view;
  const kept = keptRatios(view);
  return {
    ...log,
    keptRatio: kept.all,
    cleanedKeptRatio: kept.cleaned,
    leaderEpochs: epochs,
    producers,
    journal,
    live: view.live,
    segments: segments.map(({ facts: { segment, ...facts }, summary }) => ({
      ...segment,
      ...facts,
      ...summary,
    })),
  };
}

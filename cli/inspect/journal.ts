/** `tailrace journal`: what waits in the journal to be persisted. */

import { batchFault } from '../../protocol/record-batch.ts';
import type { DataFolder } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { batchesIn, JournalInspection, type JournalItem } from '../../storage/inspect/journal.ts';
import { partitionFolderName } from '../../storage/segment-names.ts';
import { METADATA_TOPIC, METADATA_TOPIC_ID } from '../../storage/store.ts';
import { type DumpOptions, Printer } from './dump.ts';
import { askBroker, gaugesText } from './live.ts';
import { readMetadata } from './metadata.ts';
import { type Cell, drained, print, printJson, sizeText, tableText } from './output.ts';
import { Progress } from './progress.ts';
import { disk, makeUncompress, openFolder, type SourceOptions } from './source.ts';
import { report, type VerifyOptions } from './verify.ts';

async function withJournal(
  options: SourceOptions,
  run: (journal: JournalInspection, folder: DataFolder) => Promise<void>,
): Promise<void> {
  const folder = await openFolder(options.data, new Findings());
  const journal = await JournalInspection.open(disk, folder.path);
  try {
    await run(journal, folder);
  } finally {
    await journal.close();
  }
}

export function listJournal(options: SourceOptions): Promise<void> {
  return withJournal(options, async (journal, folder) => {
    const broker = await askBroker(folder.path);
    const rows: Cell[][] = [];
    for (const file of journal.files()) {
      if (options.json) printJson(file);
      const { path, sizeBytes, use } = file;
      rows.push([
        path,
        sizeText(sizeBytes),
        use === undefined ? 'void' : `use ${use.sequence}`,
        use?.groups,
        sizeText(use?.usedBytes),
        sizeText(use?.payloadBytes),
        sizeText(use?.syncedBytes),
        use?.logs,
        use?.leases,
      ]);
    }
    const head = ['file', 'size', 'state', 'groups', 'used', 'batches', 'synced', 'logs', 'leases'];
    if (!options.json) print(tableText(head, rows));
    if (broker === undefined) return;
    if (options.json) printJson({ gauges: broker.gauges });
    else print(gaugesText(broker.gauges));
  });
}

/** Names of logs by what the journal calls them by; the id of a topic that nothing else tells of. */
async function namer(
  folder: DataFolder,
  journal: JournalInspection,
): Promise<(item: JournalItem) => string> {
  const image = await readMetadata(folder, journal, new Findings());
  const topics = new Map(folder.logs.map(({ topicId, topic }) => [topicId, topic]));
  topics.set(METADATA_TOPIC_ID, METADATA_TOPIC);
  return ({ topicId, partition }) => {
    const topic = image.topic(topicId)?.name ?? topics.get(topicId) ?? topicId;
    return partitionFolderName(topic, partition);
  };
}

export function showJournal(options: SourceOptions): Promise<void> {
  return withJournal(options, async (journal, folder) => {
    const nameOf = await namer(folder, journal);
    for (const item of journal.items()) {
      const { path, position, group, wasSynced, what } = item;
      if (options.json) {
        printJson({ log: nameOf(item), ...item });
      } else {
        const about =
          what.kind === 'lease'
            ? `lease up to ${what.leaseEnd}`
            : `offsets ${what.previousEnd} to ${what.end}, ${sizeText(what.sizeBytes)}`;
        const synced = wasSynced ? 'synced' : 'not known to be synced';
        print(`${path} at ${position}  group ${group}  ${nameOf(item)}  ${about}  ${synced}`);
      }
      await drained();
    }
  });
}

export function dumpJournal(options: DumpOptions): Promise<void> {
  return withJournal(options, async (journal, folder) => {
    const printer = new Printer(options, await makeUncompress());
    const nameOf = await namer(folder, journal);
    for (const item of journal.items()) {
      if (item.what.kind !== 'batches') continue;
      const name = nameOf(item);
      const topic = name.slice(0, name.lastIndexOf('-'));
      const place = { topic, partition: item.partition };
      const payload = await journal.read(item);
      let read = 0;
      for (const batch of batchesIn(item, payload)) {
        if (printer.isFull) break;
        await printer.batch(batch, place);
        read += batch.bytes.length;
      }
      if (read < payload.length && !printer.isFull) {
        const fault = batchFault(payload, read) ?? 'no batch';
        printer.fault(`${item.path} at ${item.position + read}: ${fault}`);
      }
      if (printer.isFull) break;
    }
    printer.end();
  });
}

export function verifyJournal(options: VerifyOptions): Promise<void> {
  return withJournal(options, async (journal) => {
    const findings = new Findings(options.all ? Number.POSITIVE_INFINITY : 1);
    const progress = new Progress(journal.payloadBytes);
    try {
      await journal.verify(findings, (bytes) => progress.add(bytes));
    } finally {
      progress.end();
    }
    const groups = journal.files().reduce((sum, { use }) => sum + (use?.groups ?? 0), 0);
    report(findings, { groups, bytes: progress.done }, options);
  });
}

/** `tailrace topics`: the topics of a data folder, by its logs and its __cluster_metadata. */

import { type MetadataImage, ResourceType } from '../../broker/metadata-image.ts';
import type { DataFolder, FoundLog } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { JournalInspection } from '../../storage/inspect/journal.ts';
import type { LiveLog } from '../../storage/inspect/live.ts';
import { readSegmentFacts } from '../../storage/inspect/segment-facts.ts';
import { METADATA_TOPIC } from '../../storage/store.ts';
import { NotFound } from '../exit.ts';
import { askBroker } from './live.ts';
import { readMetadata } from './metadata.ts';
import { type Cell, print, printJson, sizeText, tableText, timeText } from './output.ts';
import { buffers, disk, openFolder, type SourceOptions } from './source.ts';
import { tellFindings } from './tell.ts';

interface PartitionView {
  readonly partition: number;
  readonly segments: number;
  readonly sizeBytes: number;
  readonly startOffset: number;
  readonly endOffset: number;
  readonly largestTimestamp: number | undefined;
  readonly recoveryPoint: number | undefined;
  readonly firstDirtyOffset: number | undefined;
  /** What its broker says, while one runs. */
  readonly live: LiveLog | undefined;
}

interface TopicView {
  readonly topic: string;
  readonly topicId: string | undefined;
  /** As the metadata has it; those without data have no folder. */
  readonly partitions: number;
  /** Whether the metadata knows it. */
  readonly isKnown: boolean;
  readonly logs: readonly FoundLog[];
  readonly config: { readonly [name: string]: string };
}

export async function listTopics(options: SourceOptions): Promise<void> {
  const findings = new Findings();
  const topics = await readTopics(await openFolder(options.data, findings), findings);
  const rows: Cell[][] = [];
  for (const topic of topics) {
    let sizeBytes = 0;
    for (const log of topic.logs)
      for (const segment of log.segments) sizeBytes += segment.sizeBytes;
    const { topic: name, topicId, partitions, isKnown, config, logs } = topic;
    if (options.json) {
      printJson({
        topic: name,
        topicId,
        partitions,
        logs: logs.length,
        isKnown,
        sizeBytes,
        config,
      });
    } else {
      const policy = config['cleanup.policy'];
      rows.push([name, topicId, partitions, logs.length, sizeText(sizeBytes), policy]);
    }
  }
  if (!options.json) {
    print(tableText(['topic', 'id', 'partitions', 'with data', 'size', 'cleanup.policy'], rows));
  }
  tellFindings(findings);
}

export async function describeTopics(
  names: readonly string[],
  options: SourceOptions,
): Promise<void> {
  const findings = new Findings();
  const folder = await openFolder(options.data, findings);
  const topics = await readTopics(folder, findings);
  const broker = await askBroker(folder.path);
  for (const name of names) {
    const topic = topics.find((candidate) => candidate.topic === name);
    if (topic === undefined) throw new NotFound(`${options.data} has no topic ${name}`);
    const partitions: PartitionView[] = [];
    for (const log of topic.logs) {
      partitions.push(await readPartition(log, broker?.logs.get(log.name)));
    }
    const written = new Set(topic.logs.map((log) => log.partition));
    for (const live of broker?.logs.values() ?? []) {
      const isOnlyInMemory = live.topic === name && live.endOffset > 0;
      if (isOnlyInMemory && !written.has(live.partition)) partitions.push(inMemory(live));
    }
    const { logs, ...facts } = topic;
    if (options.json) printJson({ ...facts, partitions: facts.partitions, logs: partitions });
    else print(describeText(topic, partitions));
  }
  tellFindings(findings);
}

function describeText(topic: TopicView, partitions: readonly PartitionView[]): string {
  const lines = [`${topic.topic}  topic id ${topic.topicId ?? 'unknown'}`];
  lines.push(`  ${topic.partitions} partitions, ${partitions.length} with data`);
  if (!topic.isKnown) lines.push('  the metadata does not know it: a start sets its folders aside');
  for (const [name, value] of Object.entries(topic.config)) lines.push(`  ${name}=${value}`);
  const rows = partitions.map((one) => [
    one.partition,
    one.startOffset,
    one.endOffset,
    one.segments,
    sizeText(one.sizeBytes),
    timeText(one.largestTimestamp),
    one.recoveryPoint,
    one.firstDirtyOffset,
    sizeText(one.live?.memoryBytes),
    sizeText(one.live?.queuedBytes),
  ]);
  const head = ['partition', 'start', 'end', 'segments', 'size', 'newest', 'recovery', 'clean to'];
  head.push('in memory', 'queued');
  return `${lines.join('\n')}\n${tableText(head, rows)}`;
}

/** A partition of which nothing was persisted yet. */
function inMemory(live: LiveLog): PartitionView {
  return {
    partition: live.partition,
    segments: 0,
    sizeBytes: 0,
    startOffset: live.logStartOffset,
    endOffset: live.endOffset,
    largestTimestamp: undefined,
    recoveryPoint: undefined,
    firstDirtyOffset: undefined,
    live,
  };
}

async function readPartition(log: FoundLog, live: LiveLog | undefined): Promise<PartitionView> {
  const facts = await readSegmentFacts(disk, buffers, log);
  const first = log.segments[0]?.baseOffset ?? 0;
  const startOffset = live?.logStartOffset ?? Math.max(log.logStartOffset ?? 0, first);
  const times = facts.map(({ largestTimestamp }) => largestTimestamp ?? -1);
  return {
    partition: log.partition,
    segments: facts.length,
    sizeBytes: facts.reduce((sum, { segment }) => sum + segment.sizeBytes, 0),
    startOffset,
    endOffset: live?.endOffset ?? facts.at(-1)?.nextOffset ?? startOffset,
    largestTimestamp: times.length === 0 ? undefined : Math.max(...times),
    recoveryPoint: log.recoveryPoint,
    firstDirtyOffset: log.firstDirtyOffset,
    live,
  };
}

async function readTopics(folder: DataFolder, findings: Findings): Promise<TopicView[]> {
  const image = await readWithJournal(folder, findings);
  const logs = new Map<string, FoundLog[]>();
  for (const { name } of image.topics()) logs.set(name, []);
  for (const log of folder.logs) {
    const found = logs.get(log.topic);
    if (found === undefined) logs.set(log.topic, [log]);
    else found.push(log);
  }
  const topics = [...logs].map(([topic, found]): TopicView => {
    const known = image.topicByName(topic);
    return {
      topic,
      topicId: known?.id ?? found[0]?.topicId,
      partitions: known?.partitions ?? found.length,
      isKnown: known !== undefined || topic === METADATA_TOPIC,
      logs: found,
      config: Object.fromEntries(image.settings(ResourceType.topic, topic)),
    };
  });
  return topics.sort((a, b) => (a.topic < b.topic ? -1 : 1));
}

/** What the journal has and the segments have not counts, too. */
async function readWithJournal(folder: DataFolder, findings: Findings): Promise<MetadataImage> {
  const journal = await JournalInspection.open(disk, folder.path);
  try {
    return await readMetadata(folder, journal, findings);
  } finally {
    await journal.close();
  }
}

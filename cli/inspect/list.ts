/** `tailrace segments list`: a line for each segment, without reading the batches. */

import type { FoundLog } from '../../storage/inspect/data-folder.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { readSegmentFacts, type SegmentFacts } from '../../storage/inspect/segment-facts.ts';
import { type Cell, print, printJson, sizeText, tableText, timeText } from './output.ts';
import { buffers, disk, type SourceOptions, select } from './source.ts';
import { tellFindings } from './tell.ts';

const HEAD = ['log', 'base', 'next', 'size', 'from', 'to', 'indexes', 'aborted', 'generation'];

export async function listSegments(
  names: readonly string[],
  options: SourceOptions,
): Promise<void> {
  const findings = new Findings();
  const { logs } = await select(options, names, findings);
  const rows: Cell[][] = [];
  for (const log of logs) {
    for (const facts of await readSegmentFacts(disk, buffers, log)) {
      if (options.json) printJson(segmentJson(log, facts));
      else rows.push(segmentRow(log, facts));
    }
  }
  if (!options.json) print(tableText(HEAD, rows));
  tellFindings(findings);
}

function segmentRow(log: FoundLog, facts: SegmentFacts): Cell[] {
  return [
    log.name,
    facts.segment.baseOffset,
    facts.nextOffset,
    sizeText(facts.segment.sizeBytes),
    timeText(facts.firstTimestamp),
    timeText(facts.largestTimestamp),
    facts.indexFault ?? `${facts.indexEntries}/${facts.timeIndexEntries}`,
    facts.abortedTransactions,
    facts.generation,
  ];
}

function segmentJson({ topic, partition, topicId }: FoundLog, facts: SegmentFacts): object {
  const { segment, ...rest } = facts;
  return { topic, partition, topicId, ...segment, ...rest };
}

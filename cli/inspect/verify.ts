/** `tailrace segments verify`: every checksum, and all files against each other. */

import path from 'node:path';
import { Findings } from '../../storage/inspect/findings.ts';
import { JournalInspection } from '../../storage/inspect/journal.ts';
import { verifyLog } from '../../storage/inspect/verify-log.ts';
import { CliError } from '../exit.ts';
import { print, printJson, sizeText } from './output.ts';
import { Progress } from './progress.ts';
import { buffers, disk, makeUncompress, type SourceOptions, select } from './source.ts';
import { findingText } from './tell.ts';

export interface VerifyOptions extends SourceOptions {
  readonly all?: boolean;
}

export async function verifyLogs(names: readonly string[], options: VerifyOptions): Promise<void> {
  const findings = new Findings(options.all ? Number.POSITIVE_INFINITY : 1);
  const { folder, logs } = await select(options, names, findings);
  const journal =
    folder !== undefined && names.length === 0
      ? await JournalInspection.open(disk, folder.path)
      : undefined;
  let bytes = journal?.payloadBytes ?? 0;
  for (const log of logs) for (const { sizeBytes } of log.segments) bytes += sizeBytes;
  const progress = new Progress(bytes);
  const sums = { logs: 0, segments: 0, batches: 0, records: 0 };
  const tools = {
    disk,
    buffers,
    uncompress: await makeUncompress(),
    findings,
    onProgress: (done: number) => progress.add(done),
    // Of a folder that was copied nobody knows; its ends are taken as they are.
    isWhole: folder?.wasStoppedCleanly ?? false,
  };
  try {
    await journal?.verify(findings, tools.onProgress);
    for (const log of logs) {
      if (findings.isFull) break;
      progress.at(log.name);
      const done = await verifyLog(tools, log);
      sums.logs++;
      sums.segments += done.segments;
      sums.batches += done.batches;
      sums.records += done.records;
    }
  } finally {
    progress.end();
    await journal?.close();
  }
  report(findings, { ...sums, bytes: progress.done }, options);
}

/** Prints what was found and ends with a failure where that is damage. */
export function report(
  findings: Findings,
  sums: { readonly [what: string]: number },
  options: VerifyOptions,
): void {
  const { damages, leftOut } = findings;
  if (options.json) {
    for (const finding of findings.all) printJson({ ...finding, file: path.resolve(finding.file) });
    printJson({ kind: 'summary', ...sums, damages });
  } else {
    for (const finding of findings.all) print(findingText(finding));
    if (leftOut > 0) print(`${leftOut} more are not listed`);
    const parts = Object.entries(sums).map(([what, count]) =>
      what === 'bytes' ? sizeText(count) : `${count} ${what}`,
    );
    print(`verified ${parts.join(', ')}: ${damages === 0 ? 'sound' : `${damages} damaged`}`);
  }
  if (damages === 0) return;
  const isFirst = findings.isFull ? ' (the first; --all lists all)' : '';
  throw new CliError(`damage was found${isFirst}`);
}

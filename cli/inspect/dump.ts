/** `tailrace segments dump`: batches and records, with keys and values in readable form. */

import { InvalidRecords, payloadOf, readRecords } from '../../protocol/records.ts';
import { Findings } from '../../storage/inspect/findings.ts';
import { type PlacedBatch, readBatches } from '../../storage/inspect/read-batches.ts';
import type { Uncompress } from '../../storage/inspect/record-check.ts';
import { CliError } from '../exit.ts';
import { drained, print, printJson, tell } from './output.ts';
import {
  batchFields,
  batchLine,
  type RecordForm,
  recordFields,
  recordLine,
} from './record-text.ts';
import { buffers, disk, makeUncompress, type SourceOptions, select } from './source.ts';
import { tellFindings } from './tell.ts';

/** What is printed of records and batches. */
export interface DumpOptions extends SourceOptions {
  readonly limit?: number;
  readonly batches?: boolean;
  readonly valueBytes: number;
}

export interface LogDumpOptions extends DumpOptions {
  readonly from?: number;
  readonly to?: number;
}

export async function dumpLogs(names: readonly string[], options: LogDumpOptions): Promise<void> {
  const findings = new Findings();
  const { logs } = await select(options, names, findings);
  const printer = new Printer(options, await makeUncompress());
  for (const log of logs) {
    const place = { topic: log.topic, partition: log.partition };
    for await (const item of readBatches(disk, buffers, log, options.from, options.to)) {
      if (item.kind === 'unreadable') {
        printer.fault(`${item.file} at ${item.position}: ${item.reason}`);
      } else await printer.batch(item, place);
      if (printer.isFull) break;
    }
    if (printer.isFull) break;
  }
  tellFindings(findings);
  printer.end();
}

/** Prints batches or their records up to a limit. */
export class Printer {
  readonly #options: LogDumpOptions;
  readonly #uncompress: Uncompress;
  #left: number;
  #faults = 0;

  constructor(options: LogDumpOptions, uncompress: Uncompress) {
    this.#options = options;
    this.#uncompress = uncompress;
    this.#left = options.limit ?? Number.POSITIVE_INFINITY;
  }

  get isFull(): boolean {
    return this.#left <= 0;
  }

  async batch(
    batch: PlacedBatch,
    place: { readonly topic: string; readonly partition: number },
  ): Promise<void> {
    const { batches, json } = this.#options;
    await drained();
    if (!batches) return this.#records(batch, place);
    this.#left--;
    if (json) printJson({ ...place, ...batchFields(batch) });
    else print(batchLine(place, batch));
  }

  #records(batch: PlacedBatch, place: { readonly topic: string; readonly partition: number }) {
    const { from = 0, to = Number.POSITIVE_INFINITY, json, valueBytes } = this.#options;
    const { bytes, header } = batch;
    const { codec, recordCount } = header;
    const payload =
      codec === 0 || recordCount === 0
        ? payloadOf(bytes, 0)
        : this.#uncompress(codec, payloadOf(bytes, 0));
    if (typeof payload === 'string') {
      this.fault(`${batch.file} at ${batch.position}: ${payload}`);
      return;
    }
    const form: RecordForm = { ...place, header, valueBytes };
    try {
      for (const record of readRecords(bytes, 0, payload)) {
        if (record.offset < from) continue;
        if (record.offset >= to || this.isFull) return;
        this.#left--;
        if (json) printJson(recordFields(record, form));
        else print(recordLine(record, form));
      }
    } catch (error) {
      if (!(error instanceof InvalidRecords)) throw error;
      this.fault(`${batch.file} at ${batch.position}: ${error.message}`);
    }
  }

  fault(text: string): void {
    this.#faults++;
    tell(`unreadable: ${text}`);
  }

  /** Ends with a failure where something could not be read. */
  end(): void {
    if (this.#faults > 0) throw new CliError('not all could be read');
  }
}

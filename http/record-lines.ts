/**
 * Record batches as lines of JSON for people: `{"offset":7,"timestamp":…,"key":"a","value":"first",
 * "headers":[{"key":"h","value":"v"}]}`. Keys and values that are UTF-8 are texts, others are
 * `{"base64":"…"}`; a tombstone's value is null.
 *
 * Control batches are left out, and with `read_committed` what belongs to aborted transactions: a
 * transaction of the list begins at its first offset and ends with its producer's marker.
 */

import { isUtf8 } from 'node:buffer';
import {
  baseOffset,
  batchBytes,
  codec,
  isControl,
  isTransactional,
  lastOffset,
  producerId,
} from '../protocol/record-batch.ts';
import { payloadOf, type Record, readRecords } from '../protocol/records.ts';
import type { AbortedTransaction } from '../storage/types.ts';

type Text = string | null | { readonly base64: string };

function textOf(bytes: Buffer | null): Text {
  if (bytes === null) return null;
  return isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString('base64') };
}

export function lineOf({ offset, timestamp, key, value, headers }: Record): string {
  const line = {
    offset,
    timestamp,
    key: textOf(key),
    value: textOf(value),
    headers: headers.map((header) => ({ key: header.key, value: textOf(header.value) })),
  };
  return `${JSON.stringify(line)}\n`;
}

/** Which batches of a slice hold records to be shown, in order. */
export class VisibleBatches {
  /** Transactions that begin further on, by first offset. */
  readonly #coming: AbortedTransaction[];
  readonly #aborted = new Set<number>();

  constructor(aborted: readonly AbortedTransaction[]) {
    this.#coming = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset);
  }

  /** To be asked for each batch in turn. */
  shows(buffer: Buffer, at: number): boolean {
    const base = baseOffset(buffer, at);
    while (this.#coming.length > 0 && this.#coming[0]!.firstOffset <= base) {
      this.#aborted.add(this.#coming.shift()!.producerId);
    }
    const producer = producerId(buffer, at);
    if (isControl(buffer, at)) {
      // Either marker ends what the producer had open.
      this.#aborted.delete(producer);
      return false;
    }
    return !(isTransactional(buffer, at) && this.#aborted.has(producer));
  }
}

/** Uncompresses the records of a batch. */
export type Inflate = (codec: number, payload: Buffer) => Promise<Buffer>;

/** The records of one batch to be shown, and the offset after the batch. */
export interface ShownBatch {
  readonly records: Iterable<Record>;
  readonly nextOffset: number;
}

/** What is to be shown of the batches in a buffer. */
export async function* shownBatches(
  buffer: Buffer,
  visible: VisibleBatches,
  inflate: Inflate,
): AsyncGenerator<ShownBatch> {
  for (let at = 0; at < buffer.length; at += batchBytes(buffer, at)) {
    const nextOffset = lastOffset(buffer, at) + 1;
    if (!visible.shows(buffer, at)) {
      yield { records: [], nextOffset };
      continue;
    }
    const packed = payloadOf(buffer, at);
    const kind = codec(buffer, at);
    const payload = kind === 0 ? packed : await inflate(kind, packed);
    yield { records: readRecords(buffer, at, payload), nextOffset };
  }
}

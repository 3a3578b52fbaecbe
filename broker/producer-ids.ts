/**
 * Producer ids: blocks of 1000 are recorded in `__cluster_metadata` (KRaft's ProducerIdsRecord)
 * before the first id of a block is given out, so no id is ever given twice. What is left of a
 * block is lost at a stop; ids are plenty.
 *
 * Source: KIP-730; ProducerIdsRecord of Kafka's metadata schemas.
 */

import { ProtocolError } from '../protocol/errors.ts';
import type { NewMetadataRecord } from './metadata-records.ts';

/** Where blocks are recorded: what ProducerIds needs of the metadata log. */
export interface ProducerIdLedger {
  readonly planned: {
    /** First id that belongs to no block yet. */
    readonly nextProducerId: number;
  };
  /** Durable when it resolves. */
  append(records: readonly NewMetadataRecord[]): Promise<void>;
}

/** Ids of one block, as Kafka's controller gives them to a broker. */
export const PRODUCER_ID_BLOCK = 1000;

export class ProducerIds {
  readonly #ledger: ProducerIdLedger;
  readonly #nodeId: number;
  #next = 0;
  /** End of the block in use; nothing is left of it when `#next` has reached it. */
  #end = 0;
  #refill: Promise<void> | undefined;

  constructor(ledger: ProducerIdLedger, nodeId: number) {
    this.#ledger = ledger;
    this.#nodeId = nodeId;
  }

  /** A producer id that was never given before. Rejects when a block cannot be recorded. */
  async next(): Promise<number> {
    while (this.#next === this.#end) {
      this.#refill ??= this.#takeBlock().finally(() => {
        this.#refill = undefined;
      });
      await this.#refill;
    }
    return this.#next++;
  }

  async #takeBlock(): Promise<void> {
    const first = this.#ledger.planned.nextProducerId;
    const end = first + PRODUCER_ID_BLOCK;
    if (!Number.isSafeInteger(end)) {
      throw new ProtocolError('UNKNOWN_SERVER_ERROR', 'all producer ids have been given out');
    }
    const value = { brokerId: this.#nodeId, nextProducerId: end };
    await this.#ledger.append([{ kind: 'ProducerIdsRecord', value }]);
    this.#next = first;
    this.#end = end;
  }
}

/**
 * One Produce on its way. Two stages:
 *
 * 1. Ordered: the partitions join the transaction, where there is one, room for the bytes (a promise
 *    while the source is held back), checks, of which some batches need a worker, and the appends.
 *    When it is over, the next request may start.
 * 2. Acknowledged: each partition's mark of the acks level has passed its batch, or the request's
 *    timeout is over. A repeated batch waits for the mark to pass the original.
 *
 * Errors of partitions are values; each gets a log line that names topic, partition and client.
 */

import { ErrorCode, errorName, ProtocolError } from '../protocol/errors.ts';
import type { RequestContext } from './api.ts';
import type { Deadline } from './deadlines.ts';
import { reportPartitionError } from './partition-errors.ts';
import type { ProducePart } from './produce-part.ts';
import type { ProduceTransaction } from './produce-transaction.ts';
import { RejectedBatch, type ValidBatch, validateBatch } from './validate.ts';
import { validationRules } from './validation-rules.ts';

export type Acks = -1 | 0 | 1;

/** Errors beside which Kafka tells where the log starts. */
const tellLogStart: ReadonlySet<number> = new Set([
  ErrorCode.INVALID_RECORD,
  ErrorCode.INVALID_TIMESTAMP,
  ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
  ErrorCode.INVALID_PRODUCER_EPOCH,
]);

export class ProduceRun implements Deadline {
  rank = 0;
  heapIndex = -1;
  readonly parts: readonly ProducePart[];
  readonly #context: RequestContext;
  readonly #acks: Acks;
  readonly #timeoutMs: number;
  readonly #transaction: ProduceTransaction | undefined;
  /** Partitions whose mark is waited for. */
  #waiting = 0;
  #done: (() => void) | undefined;

  constructor(
    context: RequestContext,
    parts: readonly ProducePart[],
    acks: Acks,
    timeoutMs: number,
    transaction?: ProduceTransaction,
  ) {
    this.#context = context;
    this.#transaction = transaction;
    this.parts = parts;
    this.#acks = acks;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether a part has an error. */
  get hasErrors(): boolean {
    return this.parts.some((part) => !part.isOpen);
  }

  /** The first stage; undefined when it is over already, else a promise that never rejects. */
  append(): Promise<void> | undefined {
    const joining = this.#transaction?.join();
    return joining === undefined ? this.#appendAdmitted() : this.#appendJoined(joining);
  }

  async #appendJoined(joining: Promise<ProtocolError | undefined>): Promise<void> {
    const error = await joining;
    if (error !== undefined) {
      for (const part of this.#transaction!.parts) {
        part.partition?.refuse(part.records);
        this.#fail(part, error);
      }
    }
    await this.#appendAdmitted();
  }

  #appendAdmitted(): Promise<void> | undefined {
    let sizeBytes = 0;
    for (const part of this.parts) if (part.isOpen) sizeBytes += part.sizeBytes;
    if (sizeBytes === 0) return this.#appendFrom(0);
    const { services, connection } = this.#context;
    const room = services.logs.admit(sizeBytes, false, connection);
    return room === undefined ? this.#appendFrom(0) : this.#appendWhenRoom(room);
  }

  /** The second stage; false when nothing is to be waited for, else `done` is called once. */
  acknowledge(done: () => void): boolean {
    if (this.#acks === 0) return false;
    for (const part of this.parts) if (part.ackEnd >= 0) this.#waiting++;
    for (const part of this.parts) if (part.ackEnd >= 0) this.#await(part, this.#acks);
    if (this.#waiting === 0) return false;
    this.#context.services.deadlines.add(this, this.#timeoutMs);
    this.#done = done;
    return true;
  }

  /** The request's timeout: what is not acknowledged by now may or may not come to be so. */
  expire(): void {
    for (const part of this.parts) {
      if (part.ackEnd >= 0) this.#fail(part, new ProtocolError('REQUEST_TIMED_OUT'));
    }
    this.#waiting = 0;
    this.#done?.();
  }

  async #appendWhenRoom(room: Promise<void>): Promise<void> {
    const { metrics, env } = this.#context.services;
    const paused = metrics.gauge('paused_sources');
    const startedMs = env.clock.monotonic();
    metrics.counter('produce_held_total').add();
    paused.add(1);
    try {
      await room;
    } catch (error) {
      for (const part of this.parts) {
        if (!part.isOpen) continue;
        part.partition?.refuse(part.records);
        this.#fail(part, error);
      }
      return;
    } finally {
      paused.add(-1);
      const heldMs = env.clock.monotonic() - startedMs;
      metrics.histogram('produce_held_seconds').record(heldMs / 1000);
    }
    await this.#appendFrom(0);
  }

  /** Checks and appends one after the other; a promise from where a worker is needed. */
  #appendFrom(start: number): Promise<void> | undefined {
    const { parts } = this;
    for (let i = start; i < parts.length; i++) {
      const part = parts[i]!;
      if (!part.isOpen) continue;
      const valid = this.#validate(part);
      if (valid instanceof Promise) return this.#appendRest(i, valid);
      if (valid !== undefined) this.#appendPart(part, valid);
    }
    return undefined;
  }

  /** The workers check all that is left side by side; the appends keep the request's order. */
  async #appendRest(start: number, first: Promise<ValidBatch | undefined>): Promise<void> {
    const rest = this.parts.slice(start);
    const checks = rest.map((part, i) => {
      if (i === 0) return first;
      return part.isOpen ? this.#validate(part) : undefined;
    });
    for (const [i, part] of rest.entries()) {
      const valid = await checks[i];
      if (valid !== undefined) this.#appendPart(part, valid);
    }
  }

  /** Undefined, also as what a promise resolves to, when the part was refused. */
  #validate(part: ProducePart): ValidBatch | undefined | Promise<ValidBatch | undefined> {
    const { services, apiVersion } = this.#context;
    const rules = part.partition!.topic.config.derived(validationRules);
    try {
      const checked = validateBatch(part.records, rules, services.env.clock.now(), {
        codecs: services.codecs,
        produceVersion: apiVersion,
      });
      if (!(checked instanceof Promise)) return checked;
      return checked.catch((error: unknown) => this.#fail(part, error));
    } catch (error) {
      return this.#fail(part, error);
    }
  }

  #appendPart(part: ProducePart, valid: ValidBatch): void {
    const { services } = this.#context;
    const { header } = valid;
    try {
      if (header.transactional) {
        if (this.#transaction === undefined) throw new ProtocolError('INVALID_TXN_STATE');
        this.#transaction.check(part, header);
      }
      const nowMs = services.env.clock.now();
      const appended = part.partition!.append(valid.batch, header, nowMs);
      part.baseOffset = appended.baseOffset;
      part.logAppendTimeMs = appended.logAppendTimeMs;
      part.logStartOffset = part.partition!.log.logStartOffset;
      part.ackEnd = appended.lastOffset + 1;
      part.records = null;
      const { metrics } = services;
      if (appended.duplicate) metrics.counter('produce_duplicates_total').add();
      else {
        metrics.counter('produce_batches_total').add();
        metrics.counter('produce_bytes_total').add(header.sizeBytes);
        metrics.counter('produce_records_total').add(header.recordCount);
      }
    } catch (error) {
      if (header.transactional) part.partition!.refuse(part.records);
      this.#fail(part, error);
    }
  }

  #await(part: ProducePart, acks: 1 | -1): void {
    const { log } = part.partition!;
    log.onMark(log.ackMark(acks), part.ackEnd, (error) => {
      // Nothing is left to be said after the timeout.
      if (part.ackEnd < 0) return;
      if (error !== undefined) this.#fail(part, error);
      part.ackEnd = -1;
      this.#waiting--;
      if (this.#waiting > 0) return;
      this.#context.services.deadlines.remove(this);
      this.#done?.();
    });
  }

  #fail(part: ProducePart, error: unknown): undefined {
    const code = reportPartitionError(this.#context, part.topicName, part.index, error);
    this.#context.services.metrics.counter('produce_refused_total', errorName(code)).add();
    part.fail(code);
    // Kafka explains what is wrong with records, not what is wrong with the batch as a whole.
    if (error instanceof RejectedBatch && error.recordErrors.length > 0) {
      part.recordErrors = error.recordErrors;
      part.errorMessage = error.message;
    }
    if (tellLogStart.has(code)) part.logStartOffset = part.partition!.log.logStartOffset;
    return undefined;
  }
}

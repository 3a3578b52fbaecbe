/**
 * What goes out on a connection: answers in the order they are sent, all of one turn in one write.
 * While memory is short, a peer that does not take them at a least rate is given up.
 * An answer's bytes are counted from the moment it is there, also while one before it is not,
 * until the socket has taken them; then its exchange is told, so that shared buffers go back.
 */

import type { Clock } from '../storage/env.ts';
import type { Exchange } from './exchange.ts';
import type { MemoryBudget } from './memory-budget.ts';
import type { Metrics, Series } from './metrics.ts';
import type { TransportConnection } from './transport.ts';
import type { Flushed, TurnEnd } from './turn-end.ts';

/** Answers must be taken at this rate, after a first allowance, when memory is short. */
const TAKING_ALLOWANCE_MS = 30_000;
const TAKING_BYTES_PER_MS = 32;

export class Outbox implements Flushed {
  private readonly transport: TransportConnection;
  private readonly turnEnd: TurnEnd;
  private readonly memory: MemoryBudget;
  private readonly clock: Clock;
  private readonly bytesOut: Series;
  private readonly blockedGauge: Series;
  /** Answers that are there and have not left, about in the order in which they leave. */
  private readonly held: Exchange[] = [];
  private heldBytes = 0;
  /** To be written at the end of this turn, in order. */
  private ready: Exchange[] = [];
  private isBlocked = false;
  private blockedSinceMs = 0;
  private isClosed = false;

  constructor(
    transport: TransportConnection,
    turnEnd: TurnEnd,
    memory: MemoryBudget,
    clock: Clock,
    metrics: Metrics,
  ) {
    this.transport = transport;
    this.turnEnd = turnEnd;
    this.memory = memory;
    this.clock = clock;
    this.bytesOut = metrics.counter('network_bytes_out_total');
    this.blockedGauge = metrics.gauge('connections_not_taking_answers');
  }

  /** Bytes of answers that have not left. */
  get unsentBytes(): number {
    return this.heldBytes;
  }

  get isEmpty(): boolean {
    return this.held.length === 0;
  }

  /** Whether the peer does not take what is written. */
  get blocked(): boolean {
    return this.isBlocked;
  }

  /** Whether memory that others need is held by answers that the peer does not take. */
  isDeaf(nowMs: number): boolean {
    if (!this.isBlocked || !this.memory.isShort) return false;
    const allowedMs = TAKING_ALLOWANCE_MS + this.heldBytes / TAKING_BYTES_PER_MS;
    return nowMs - this.blockedSinceMs > allowedMs;
  }

  /** Counts an answer that is there. */
  hold(exchange: Exchange): void {
    this.held.push(exchange);
    this.heldBytes += exchange.answerBytes;
    this.memory.take('answers', exchange.answerBytes);
  }

  /** Sends an answer that is held, now that its turn has come. */
  send(exchange: Exchange): void {
    if (exchange.answerBytes === 0) {
      this.leave(exchange);
      return;
    }
    this.ready.push(exchange);
    if (this.ready.length === 1) this.turnEnd.add(this);
  }

  drained(): void {
    this.setBlocked(false);
  }

  /** Nothing leaves any more. */
  close(): void {
    this.isClosed = true;
    this.ready = [];
    this.setBlocked(false);
    for (const exchange of [...this.held]) this.leave(exchange);
  }

  flush(): void {
    const exchanges = this.ready;
    if (exchanges.length === 0 || this.isClosed) return;
    this.ready = [];
    const buffers: Buffer[] = [];
    for (const exchange of exchanges) buffers.push(...(exchange.answer as readonly Buffer[]));
    const taken = this.transport.write(buffers, () => {
      for (const exchange of exchanges) this.leave(exchange);
    });
    if (!taken) this.setBlocked(true);
  }

  private leave(exchange: Exchange): void {
    const at = this.held.indexOf(exchange);
    if (at < 0) return;
    this.held.splice(at, 1);
    this.heldBytes -= exchange.answerBytes;
    this.memory.give('answers', exchange.answerBytes);
    if (!this.isClosed) this.bytesOut.add(exchange.answerBytes);
    exchange.sent();
  }

  private setBlocked(blocked: boolean): void {
    if (blocked === this.isBlocked) return;
    this.isBlocked = blocked;
    if (blocked) this.blockedSinceMs = this.clock.monotonic();
    this.blockedGauge.add(blocked ? 1 : -1);
  }
}

/**
 * One client's connection: requests in, answers out, in order.
 *
 * - Requests start in arrival order, and the next one starts when the one before has fixed its
 *   order (its handler has returned, or its `Staged.ordered` is done). Several are in flight, up
 *   to `maxInFlight`; a second one of an API that is served one at a time waits for the first.
 * - Answers leave in the order of the requests. All that are ready in one turn leave in one write.
 * - While something waits, the socket is read until one request is there that cannot start, so
 *   that the peer's going is seen; then it is paused. What came behind that request in the same
 *   chunk stays where it is.
 * - A peer that does not take its answers is not served further: nothing starts before it has.
 *
 * A frame's memory, and the estimate of what decoding makes of it, are counted until its answer is
 * there (inbox.ts), the answer's until it has left (outbox.ts).
 */

import { OversizedFrame } from '../protocol/frame.ts';
import { MalformedFrame } from '../protocol/reader.ts';
import type { Clock } from '../storage/env.ts';
import type { ClientConnection } from './api.ts';
import { type Answered, type Dispatcher, UnanswerableRequest } from './dispatch.ts';
import type { Exchange } from './exchange.ts';
import type { FramePool } from './frame-pool.ts';
import { Inbox } from './inbox.ts';
import { type LimitedLog, shown } from './limited-log.ts';
import type { FrameReader, MemoryBudget } from './memory-budget.ts';
import type { Metrics, Series } from './metrics.ts';
import { Outbox } from './outbox.ts';
import type { TransportConnection, TransportEvents } from './transport.ts';
import type { TurnEnd } from './turn-end.ts';

/** Time for a closing connection's last answers to be made and taken. */
const ENDING_MS = 5_000;

/** Why the broker closed a connection: a label of connections_closed_total. */
export type CloseReason =
  | UnanswerableRequest['reason']
  | 'malformed'
  | 'refused'
  | 'internal'
  | 'first_frame_late'
  | 'frame_slow'
  | 'deaf'
  | 'idle'
  | 'stopped';

const CLOSE_TEXTS: Record<CloseReason, string> = {
  unknown_api: 'connection closed: unknown API key',
  unsupported_version: 'connection closed: unsupported version of an API',
  oversized: 'connection closed: request too large',
  malformed: 'connection closed: malformed request',
  refused: 'connection closed: the request has no answer to tell its error by',
  internal: 'connection closed: unexpected error',
  first_frame_late: 'connection closed: no whole request came',
  frame_slow: 'connection closed: a request came too slowly',
  deaf: 'connection closed: its answers are not taken, and memory is short',
  idle: 'connection closed: idle',
  stopped: 'connection closed: the broker stops',
};

/** What all connections of a server share. */
export interface ConnectionShared {
  readonly clock: Clock;
  readonly dispatcher: Dispatcher;
  readonly memory: MemoryBudget;
  readonly frames: FramePool;
  readonly turnEnd: TurnEnd;
  readonly metrics: Metrics;
  readonly log: LimitedLog;
  readonly maxInFlight: number;
  /** Answers that wait, for the socket or for one before them, beyond which nothing is started. */
  readonly maxUnsentBytes: number;
  /** Time for the first whole frame: who connects has something to say. */
  readonly firstRequestMaxMs: number;
  readonly maxFrameBytes: number;
  /** The connection is gone. */
  readonly forget: (connection: Connection) => void;
}

export class Connection implements ClientConnection, TransportEvents, FrameReader, Answered {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly advertised: ClientConnection['advertised'];
  clientSoftwareName = '';
  clientSoftwareVersion = '';

  private readonly shared: ConnectionShared;
  private readonly transport: TransportConnection;
  private readonly inbox: Inbox;
  private readonly outbox: Outbox;
  private readonly bytesIn: Series;
  /** Told when the connection goes; few at a time, so a list is enough. */
  private closeListeners: (() => void)[] = [];

  /** The request that is there and cannot start yet. */
  private next: Exchange | undefined;
  /** Started requests in order, the first without an answer. */
  private readonly inFlight: Exchange[] = [];
  /** The request started last has not fixed its order yet. */
  private ordering = false;
  private pumping = false;
  private reading = true;
  private framesRead = 0;
  private readonly openedMs: number;
  private activeMs: number;
  private endingSinceMs: number | undefined;
  private outputEnded = false;
  private isClosed = false;

  constructor(
    id: number,
    transport: TransportConnection,
    advertised: ClientConnection['advertised'],
    shared: ConnectionShared,
  ) {
    const { memory, clock, metrics } = shared;
    this.id = id;
    this.transport = transport;
    this.remoteAddress = transport.remoteAddress;
    this.remotePort = transport.remotePort;
    this.advertised = advertised;
    this.shared = shared;
    this.inbox = new Inbox(shared.maxFrameBytes, memory, shared.frames, clock, this);
    this.outbox = new Outbox(transport, shared.turnEnd, memory, clock, metrics);
    this.bytesIn = metrics.counter('network_bytes_in_total');
    this.openedMs = clock.monotonic();
    this.activeMs = this.openedMs;
  }

  get closed(): boolean {
    return this.isClosed;
  }

  onClose(listener: () => void): () => void {
    // Made anew and not grown: there is one at most times, on each of thousands of connections.
    this.closeListeners = [...this.closeListeners, listener];
    return () => {
      this.closeListeners = this.closeListeners.filter((other) => other !== listener);
    };
  }

  /** Begins to read. */
  start(): void {
    this.transport.start(this);
  }

  /** Starts no further request, sends the answers of those in flight, then closes. */
  end(reason: CloseReason, values: object = {}): void {
    if (this.isClosed || this.endingSinceMs !== undefined) return;
    this.endingSinceMs = this.shared.clock.monotonic();
    this.countClose(reason, values);
    this.dropNext();
    this.inbox.close();
    this.updateReading();
    this.endWhenAnswered();
  }

  /** Closes at once. */
  destroy(): void {
    this.transport.destroy();
  }

  /** Looks whether a time is over; the server calls it for all connections about once a second. */
  checkTimes(nowMs: number, maxIdleMs: number): void {
    if (this.endingSinceMs !== undefined) {
      if (nowMs - this.endingSinceMs > ENDING_MS) this.transport.destroy();
      return;
    }
    if (this.inbox.isSlow(nowMs)) this.abandon('frame_slow');
    else if (this.outbox.isDeaf(nowMs)) this.abandon('deaf');
    else if (this.inFlight.length > 0 || this.inbox.waitsForMemory) return;
    else if (this.framesRead === 0 && nowMs - this.openedMs > this.shared.firstRequestMaxMs) {
      this.abandon('first_frame_late');
    } else if (maxIdleMs >= 0 && nowMs - this.activeMs > maxIdleMs) this.abandon('idle');
  }

  // TransportEvents.

  data(chunk: Buffer): void {
    this.bytesIn.add(chunk.length);
    if (this.endingSinceMs !== undefined) return;
    this.activeMs = this.shared.clock.monotonic();
    this.inbox.take(chunk);
    this.pump();
    this.inbox.keep();
  }

  drained(): void {
    this.activeMs = this.shared.clock.monotonic();
    this.outbox.drained();
    this.pump();
  }

  gone(): void {
    this.isClosed = true;
    this.dropNext();
    this.inbox.close();
    this.outbox.close();
    const listeners = this.closeListeners;
    this.closeListeners = [];
    for (const listener of listeners) listener();
    this.shared.forget(this);
  }

  /** From the inbox: the frame that waited for memory goes on. */
  memoryGranted(): void {
    this.activeMs = this.shared.clock.monotonic();
    this.pump();
  }

  /** Starts all that may be started now. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.endingSinceMs === undefined && !this.isClosed) {
        const isNew = this.next === undefined;
        this.next ??= this.takeRequest();
        if (this.next === undefined) break;
        if (!this.mayStart(this.next)) {
          if (isNew) this.countHeld();
          break;
        }
        const exchange = this.next;
        this.next = undefined;
        this.startRequest(exchange);
      }
    } catch (error) {
      this.closeFor(error);
    } finally {
      this.pumping = false;
    }
    this.updateReading();
  }

  private takeRequest(): Exchange | undefined {
    const frame = this.inbox.next();
    if (frame === undefined) return undefined;
    this.framesRead += 1;
    try {
      return this.shared.dispatcher.open(this, frame);
    } catch (error) {
      this.shared.memory.give('frames', frame.length);
      throw error;
    }
  }

  private mayStart(exchange: Exchange): boolean {
    const { inFlight, outbox } = this;
    if (this.ordering || outbox.blocked) return false;
    if (inFlight.length === 0) return true;
    if (inFlight.length >= this.shared.maxInFlight) return false;
    if (outbox.unsentBytes > this.shared.maxUnsentBytes) return false;
    const { api } = exchange;
    return api.oneAtATime !== true || !inFlight.some((other) => other.api === api);
  }

  /** A request was held by a limit of the connection; counted once for each. */
  private countHeld(): void {
    const { maxInFlight, maxUnsentBytes, metrics } = this.shared;
    if (this.inFlight.length >= maxInFlight) {
      metrics.counter('requests_held_total', 'in_flight').add();
    } else if (this.outbox.unsentBytes > maxUnsentBytes) {
      metrics.counter('requests_held_total', 'answers').add();
    }
  }

  /** Throws MalformedFrame when the request cannot be decoded. */
  private startRequest(exchange: Exchange): void {
    const { dispatcher, memory } = this.shared;
    const ordered = this.decodeAndStart(dispatcher, memory, exchange);
    if (ordered === undefined) return;
    this.ordering = true;
    const goOn = () => {
      this.ordering = false;
      this.pump();
    };
    ordered.then(goOn, goOn);
  }

  private decodeAndStart(
    dispatcher: Dispatcher,
    memory: MemoryBudget,
    exchange: Exchange,
  ): Promise<void> | undefined {
    memory.take('frames', exchange.decodedBytes);
    this.inFlight.push(exchange);
    try {
      return dispatcher.start(exchange, this);
    } catch (error) {
      this.inFlight.pop();
      this.giveRequest(exchange);
      throw error;
    }
  }

  /** From the dispatcher: an exchange has its answer; those whose turn has come are sent. */
  answered(exchange: Exchange): void {
    this.giveRequest(exchange);
    if (this.isClosed || this.outputEnded) {
      exchange.sent();
      return;
    }
    this.outbox.hold(exchange);
    while (this.inFlight[0]?.answer !== undefined) {
      const first = this.inFlight.shift() as Exchange;
      this.outbox.send(first);
      if (first.closes) {
        this.end('refused', { api: first.api.name, client: shown(first.clientId) });
        this.endOutput();
        return;
      }
    }
    this.endWhenAnswered();
    this.pumpSoon();
  }

  /** What waited for an answer starts behind it, and not in the midst of what gave it. */
  private pumpSoon(): void {
    if (this.pumping || this.next === undefined) return;
    queueMicrotask(() => this.pump());
  }

  private giveRequest(exchange: Exchange): void {
    this.shared.memory.give('frames', exchange.frameBytes + exchange.decodedBytes);
  }

  private dropNext(): void {
    if (this.next !== undefined) this.shared.memory.give('frames', this.next.frameBytes);
    this.next = undefined;
  }

  /** What cannot be read cannot be answered: the connection is of no use any more. */
  private closeFor(error: unknown): void {
    if (error instanceof UnanswerableRequest) this.end(error.reason, { detail: error.message });
    else if (error instanceof OversizedFrame) this.end('oversized', { detail: error.message });
    else if (error instanceof MalformedFrame) this.end('malformed', { detail: error.message });
    else {
      this.shared.log.error({ err: error, connection: this.id }, 'a request broke the broker');
      this.end('internal');
    }
  }

  private abandon(reason: CloseReason): void {
    this.countClose(reason, {});
    this.transport.destroy();
  }

  private endWhenAnswered(): void {
    if (this.endingSinceMs !== undefined && this.inFlight.length === 0) this.endOutput();
  }

  private endOutput(): void {
    if (this.outputEnded) return;
    this.outputEnded = true;
    this.outbox.flush();
    this.transport.end();
  }

  private updateReading(): void {
    if (this.isClosed) return;
    const wanted =
      this.endingSinceMs === undefined && this.next === undefined && this.inbox.wantsMore;
    if (wanted === this.reading) return;
    this.reading = wanted;
    if (wanted) {
      this.inbox.measureAnew();
      this.transport.resume();
    } else this.transport.pause();
  }

  private countClose(reason: CloseReason, values: object): void {
    this.shared.metrics.counter('connections_closed_total', reason).add();
    if (reason === 'stopped') return;
    const { log } = this.shared;
    const line = { ...values, address: this.remoteAddress, connection: this.id };
    if (reason === 'idle') log.info(line, CLOSE_TEXTS[reason]);
    else log.warn(line, CLOSE_TEXTS[reason]);
  }
}

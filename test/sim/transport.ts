/**
 * A network in memory: connections are pairs of pipes that carry bytes on the simulated clock, cut
 * into chunks as the seed has it. It implements what tcpTransport does, and can do what a test
 * wants of a network: a peer that takes nothing, one that goes in the middle, connections that are
 * cut, that stall for a while, or that carry nothing any more without either end being told.
 */

import type {
  ListenOptions,
  Transport,
  TransportConnection,
  TransportEvents,
  TransportListener,
} from '../../broker/transport.ts';
import type { Clock, Random } from '../../storage/env.ts';

export interface SimulatedNetworkOptions {
  /** Longest time that a chunk takes. */
  readonly latencyMs?: number;
  /** Largest chunk that arrives at once. */
  readonly chunkBytes?: number;
  /** Bytes that are under way to a peer, at most, before a writer has to wait. */
  readonly windowBytes?: number;
}

const FIRST_FREE_PORT = 49152;

export class SimulatedNetwork implements Transport {
  readonly clock: Clock;
  readonly random: Random;
  readonly options: Required<SimulatedNetworkOptions>;
  private readonly listeners = new Map<number, (connection: TransportConnection) => void>();
  private nextPort = FIRST_FREE_PORT;
  /** The ends of those who opened them, of all connections that are there. */
  private readonly opened = new Set<SimulatedConnection>();
  private stalledUntilMs = 0;
  /** How often the network was troubled so far. */
  troubles = 0;
  /** A connection was lost: its other end may wait for what never comes. */
  hasLost = false;

  constructor(clock: Clock, random: Random, options: SimulatedNetworkOptions = {}) {
    this.clock = clock;
    this.random = random;
    this.options = { latencyMs: 0, chunkBytes: 65536, windowBytes: 262144, ...options };
  }

  async listen(
    options: ListenOptions,
    accept: (connection: TransportConnection) => void,
  ): Promise<TransportListener> {
    const port = options.port === 0 ? this.nextPort++ : options.port;
    if (this.listeners.has(port)) {
      throw Object.assign(new Error(`port ${port} is taken`), { code: 'EADDRINUSE' });
    }
    this.listeners.set(port, accept);
    return {
      host: options.host,
      port,
      close: async () => {
        this.listeners.delete(port);
      },
    };
  }

  isListening(port: number): boolean {
    return this.listeners.has(port);
  }

  /** Opens a connection; the client's end. Throws ECONNREFUSED when nobody listens. */
  connect(port: number, fromAddress = '127.0.0.1'): TransportConnection {
    const accept = this.listeners.get(port);
    if (accept === undefined) {
      throw Object.assign(new Error(`nobody listens on ${port}`), { code: 'ECONNREFUSED' });
    }
    const clientPort = this.nextPort++;
    const client = new SimulatedConnection(this, fromAddress, clientPort, '127.0.0.1', port);
    const server = new SimulatedConnection(this, '127.0.0.1', port, fromAddress, clientPort);
    client.peer = server;
    server.peer = client;
    this.opened.add(client);
    this.clock.defer(() => {
      if (this.listeners.has(port)) accept(server);
      else client.destroy();
    });
    return client;
  }

  /** How long the next chunk takes. */
  get delayMs(): number {
    const { latencyMs } = this.options;
    const stallMs = Math.max(0, this.stalledUntilMs - this.clock.monotonic());
    return latencyMs === 0 ? stallMs : stallMs + latencyMs * this.random.fraction();
  }

  /** Nothing arrives anywhere for so long; nothing is lost. */
  stall(ms: number): void {
    this.troubles++;
    this.stalledUntilMs = this.clock.monotonic() + ms;
  }

  /** Ends those connections that `isHit` says: both ends are told. */
  cut(isHit: () => boolean): void {
    this.troubles++;
    for (const end of [...this.opened]) if (isHit()) end.destroy();
  }

  /** Loses those connections that `isHit` says: nothing arrives any more, and nobody is told. */
  lose(isHit: () => boolean): void {
    this.troubles++;
    for (const end of this.opened) {
      if (!isHit()) continue;
      this.hasLost = true;
      end.lose();
    }
  }

  left(end: SimulatedConnection): void {
    this.opened.delete(end);
  }
}

interface Entry {
  readonly bytes: Buffer;
  at: number;
  readonly sent: (() => void) | undefined;
}

class SimulatedConnection implements TransportConnection {
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  peer: SimulatedConnection | undefined;
  private readonly network: SimulatedNetwork;
  private events: TransportEvents | undefined;
  /** Written by us, not yet under way. */
  private readonly outgoing: Entry[] = [];
  /** Under way to us, in order. */
  private readonly incoming: Buffer[] = [];
  private incomingBytes = 0;
  private paused = false;
  private delivering = false;
  private needsDrain = false;
  private ended = false;
  private isGone = false;
  private isLost = false;

  constructor(
    network: SimulatedNetwork,
    localAddress: string,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
  ) {
    this.network = network;
    this.localAddress = localAddress;
    this.localPort = localPort;
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }

  /** Nothing arrives at either end from now on. */
  lose(): void {
    this.isLost = true;
    if (this.peer !== undefined) this.peer.isLost = true;
  }

  start(events: TransportEvents): void {
    this.events = events;
    // Its peer may have gone before anybody listened.
    if (this.isGone) this.network.clock.defer(() => events.gone(undefined));
    else this.deliver();
  }

  write(buffers: readonly Buffer[], sent: () => void): boolean {
    if (this.isGone || this.ended) {
      sent();
      return true;
    }
    const last = buffers.length - 1;
    buffers.forEach((bytes, i) => {
      this.outgoing.push({ bytes, at: 0, sent: i === last ? sent : undefined });
    });
    this.push();
    this.needsDrain = this.outgoing.length > 0;
    return !this.needsDrain;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.deliver();
  }

  end(): void {
    this.ended = true;
    this.push();
  }

  destroy(): void {
    if (this.isGone) return;
    this.goAway();
    if (!this.isLost) this.peer?.goAway();
  }

  /** Puts what the window has room for under way. The bytes are copied, as a kernel does it. */
  private push(): void {
    const peer = this.peer as SimulatedConnection;
    const { windowBytes } = this.network.options;
    while (this.outgoing.length > 0 && peer.incomingBytes < windowBytes) {
      const entry = this.outgoing[0] as Entry;
      const part = entry.bytes.subarray(entry.at, entry.at + windowBytes - peer.incomingBytes);
      peer.incoming.push(Buffer.from(part));
      peer.incomingBytes += part.length;
      entry.at += part.length;
      if (entry.at < entry.bytes.length) break;
      this.outgoing.shift();
      if (entry.sent !== undefined) this.network.clock.defer(entry.sent);
    }
    if (this.outgoing.length === 0 && this.needsDrain) {
      this.needsDrain = false;
      this.network.clock.defer(() => {
        if (!this.isGone) this.events?.drained();
      });
    }
    peer.deliver();
  }

  /** Gives one chunk to the owner, later, and so on as long as there is something to give. */
  private deliver(): void {
    if (this.delivering || this.isGone || this.isLost || this.events === undefined) return;
    if (this.paused || (this.incoming.length === 0 && !this.peer?.hasEnded())) return;
    this.delivering = true;
    const arrive = () => {
      this.delivering = false;
      this.arrive();
    };
    const { delayMs } = this.network;
    if (delayMs === 0) this.network.clock.defer(arrive);
    else this.network.clock.setTimer(delayMs, arrive);
  }

  private arrive(): void {
    if (this.isGone || this.isLost || this.paused) return;
    const first = this.incoming[0];
    if (first === undefined) {
      if (this.peer?.hasEnded()) this.destroy();
      return;
    }
    const { chunkBytes } = this.network.options;
    const length = 1 + Math.floor(this.network.random.fraction() * (chunkBytes - 1));
    const chunk = first.subarray(0, length);
    if (chunk.length === first.length) this.incoming.shift();
    else this.incoming[0] = first.subarray(length);
    this.incomingBytes -= chunk.length;
    this.events?.data(chunk);
    // The real one reads the next bytes into the same memory.
    chunk.fill(0xdb);
    this.peer?.push();
    this.deliver();
  }

  private hasEnded(): boolean {
    return this.ended && this.outgoing.length === 0;
  }

  private goAway(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.network.left(this);
    const entries = this.outgoing.splice(0);
    this.network.clock.defer(() => {
      for (const entry of entries) entry.sent?.();
      this.events?.gone(undefined);
    });
  }
}

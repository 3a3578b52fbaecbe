/**
 * The listeners and the connections that came in on them: limits in all and for each address, time
 * limits, and an orderly end. What is on a connection is connection.ts's.
 */

import type { Timer } from '../storage/env.ts';
import type { AnyApi } from './api.ts';
import { parseAddressLimits } from './config/address-limits.ts';
import { isUnspecified, type Listener } from './config.ts';
import { Connection, type ConnectionShared } from './connection.ts';
import { Dispatcher } from './dispatch.ts';
import { FramePool } from './frame-pool.ts';
import type { LimitedLog } from './limited-log.ts';
import type { Services } from './services.ts';
import type { Transport, TransportConnection, TransportListener } from './transport.ts';
import { TurnEnd } from './turn-end.ts';

/** How often idle and late connections are looked for. */
const CHECK_MS = 1000;
const CHECKS_BETWEEN_TRIMS = 10;

/** A listener that is open. */
export interface OpenListener {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** What clients are told; the host is empty where it is the address they connected to. */
  readonly advertised: { readonly host: string; readonly port: number };
}

export class Server {
  private readonly services: Services;
  private readonly transport: Transport;
  private readonly mostConnections: number;
  private readonly shared: ConnectionShared;
  private readonly log: LimitedLog;
  private readonly listeners: TransportListener[] = [];
  private readonly connections = new Set<Connection>();
  private readonly countByAddress = new Map<string, number>();
  private overridesText = '';
  private addressLimits: ReadonlyMap<string, number> = new Map();
  private lastId = 0;
  private check: Timer | undefined;
  private stopping = false;
  private allGone: (() => void) | undefined;

  /** `mostConnections`: what the process has descriptors for, whatever `max.connections` says. */
  constructor(
    services: Services,
    transport: Transport,
    apis: readonly AnyApi[],
    mostConnections = Number.POSITIVE_INFINITY,
    frames = new FramePool(),
  ) {
    const { env, config, metrics, memory, limitedLog } = services;
    this.services = services;
    this.transport = transport;
    this.mostConnections = mostConnections;
    this.log = limitedLog;
    this.shared = {
      clock: env.clock,
      dispatcher: new Dispatcher(services, apis, frames),
      frames,
      memory,
      metrics,
      log: this.log,
      maxInFlight: config.get('max.inflight.requests.per.connection'),
      maxUnsentBytes: config.get('max.unsent.answer.bytes.per.connection'),
      firstRequestMaxMs: config.get('connections.first.request.max.ms'),
      maxFrameBytes: config.get('socket.request.max.bytes'),
      turnEnd: new TurnEnd(),
      forget: (connection) => this.forget(connection),
    };
    metrics.gauge('connections').from(() => this.connections.size);
    metrics.gauge('connections_waiting_for_memory').from(() => memory.waiting);
  }

  /** Opens a listener. Rejects when its address cannot be had. */
  async listen(listener: Listener, advertised: Listener | undefined): Promise<OpenListener> {
    const { host, port } = listener;
    const told = { host: advertised?.host ?? (isUnspecified(host) ? '' : host), port: 0 };
    const open = await this.transport.listen(
      { host, port, backlog: this.services.config.get('socket.listen.backlog.size') },
      (connection) => this.accept(connection, told),
      (error) => this.log.error({ err: error, listener: listener.name }, 'listener failed'),
    );
    told.port = advertised === undefined || advertised.port === 0 ? open.port : advertised.port;
    this.listeners.push(open);
    this.scheduleCheck();
    return { name: listener.name, host: open.host, port: open.port, advertised: told };
  }

  /**
   * Accepts nothing more, lets what is in flight be answered for so long, then closes what is left.
   * Whoever holds requests back (watchers, groups) is to let them go before or during this.
   */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    this.check?.cancel();
    const closed = this.listeners.map((listener) => listener.close());
    for (const connection of this.connections) connection.end('stopped');
    if (this.connections.size > 0) await this.connectionsGone(graceMs);
    for (const connection of this.connections) connection.destroy();
    await Promise.all(closed);
  }

  /** Closes the connections whose time is over; the server does so itself once a second. */
  checkTimes(nowMs: number): void {
    const maxIdleMs = this.services.config.get('connections.max.idle.ms');
    for (const connection of this.connections) connection.checkTimes(nowMs, maxIdleMs);
  }

  private connectionsGone(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.services.env.clock.setTimer(graceMs, resolve);
      this.allGone = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  private accept(transport: TransportConnection, told: OpenListener['advertised']): void {
    const { metrics } = this.services;
    const address = transport.remoteAddress;
    const refused = this.refusal(address);
    if (refused !== undefined) {
      metrics.counter('connections_refused_total', refused).add();
      this.log.warn({ address, reason: refused }, 'connection refused');
      transport.destroy();
      return;
    }
    metrics.counter('connections_accepted_total').add();
    this.countByAddress.set(address, (this.countByAddress.get(address) ?? 0) + 1);
    const advertised = told.host === '' ? { host: transport.localAddress, port: told.port } : told;
    this.lastId += 1;
    const connection = new Connection(this.lastId, transport, advertised, this.shared);
    this.connections.add(connection);
    connection.start();
  }

  private refusal(address: string): string | undefined {
    const { config } = this.services;
    if (this.stopping) return 'stopping';
    if (this.connections.size >= config.get('max.connections')) return 'max.connections';
    if (this.connections.size >= this.mostConnections) return 'descriptors';
    const fromThere = this.countByAddress.get(address) ?? 0;
    const most = this.overrides().get(address) ?? config.get('max.connections.per.ip');
    return fromThere >= most ? 'max.connections.per.ip' : undefined;
  }

  /** Limits of single addresses, read anew when the configuration has changed. */
  private overrides(): ReadonlyMap<string, number> {
    const text = this.services.config.get('max.connections.per.ip.overrides');
    if (text !== this.overridesText) {
      this.addressLimits = parseAddressLimits(text);
      this.overridesText = text;
    }
    return this.addressLimits;
  }

  private forget(connection: Connection): void {
    this.connections.delete(connection);
    const left = (this.countByAddress.get(connection.remoteAddress) ?? 1) - 1;
    if (left > 0) this.countByAddress.set(connection.remoteAddress, left);
    else this.countByAddress.delete(connection.remoteAddress);
    if (this.connections.size === 0) this.allGone?.();
  }

  private scheduleCheck(): void {
    if (this.check !== undefined) return;
    const { clock } = this.services.env;
    let checks = 0;
    const check = () => {
      this.checkTimes(clock.monotonic());
      if (++checks % CHECKS_BETWEEN_TRIMS === 0) this.shared.frames.trim();
      this.check = clock.setTimer(CHECK_MS, check);
    };
    this.check = clock.setTimer(CHECK_MS, check);
  }
}

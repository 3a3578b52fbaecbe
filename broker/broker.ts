/**
 * A broker: its data folder, its listeners, and everything between, started and stopped as one.
 *
 *   await using broker = await Broker.start({ port: 0 });
 *   new Kafka({ brokers: [broker.bootstrapServers] })
 *
 * Stopping takes at most about five seconds: no new connections and requests, then what is in work
 * is answered (waiting fetches and group members at once), then everything is written and synced.
 */

import type { Logger } from '../storage/env.ts';
import { apis } from './apis/index.ts';
import { Closers, compose } from './composition.ts';
import { Config, settingsOfProgram } from './config.ts';
import { silentLog, systemWorld, temporaryFolder, type World } from './main.ts';
import { type OpenListener, Server } from './server.ts';
import type { Services } from './services.ts';

/** Time for requests in work to be answered when the broker stops. */
const STOP_GRACE_MS = 2500;

export interface BrokerOptions {
  /** Port of the one listener; 0, the default, lets the system choose. */
  readonly port?: number;
  /** Address of the one listener; 127.0.0.1 when not given. */
  readonly host?: string;
  /** Where the data is kept. When not given: a temporary folder that is removed at the stop. */
  readonly dataDir?: string;
  /** Further configurations by Kafka's names, as in a server.properties file. */
  readonly config?: Readonly<Record<string, string>>;
  /** Where the broker logs to, pino's or one of its shape; nowhere when not given. */
  readonly logger?: Logger;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

type State = 'starting' | 'ready' | 'stopping' | 'stopped';

export class Broker {
  /** @internal */
  readonly services: Services;
  readonly dataDir: string;
  private readonly world: World;
  private readonly server: Server;
  private readonly closers: Closers;
  private readonly open: OpenListener[] = [];
  private openHttp: readonly Address[] = [];
  private state: State = 'starting';
  private stopped: Promise<void> | undefined;

  private constructor(services: Services, world: World, closers: Closers) {
    this.services = services;
    this.world = world;
    this.closers = closers;
    this.dataDir = services.config.dataDir;
    const { transport, mostConnections, frames } = world;
    this.server = new Server(services, transport, apis, mostConnections, frames);
  }

  /** Starts a broker in this process; it serves clients when this resolves. */
  static async start(options: BrokerOptions = {}): Promise<Broker> {
    const { host = '127.0.0.1', port = 0, dataDir, config = {}, logger = silentLog } = options;
    const folder = dataDir ?? temporaryFolder();
    const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const settings = settingsOfProgram({
      listeners: `PLAINTEXT://${address}`,
      ...config,
      'log.dirs': folder,
    });
    const isTemporary = dataDir === undefined;
    return Broker.launch(new Config(settings), systemWorld(logger), { isTemporary });
  }

  /**
   * Starts a broker of a configuration in a world; `isTemporary`: its data goes when it stops.
   * @internal
   */
  static async launch(
    config: Config,
    world: World,
    { isTemporary = false }: { readonly isTemporary?: boolean } = {},
  ): Promise<Broker> {
    const { env } = world;
    const startedMs = env.clock.monotonic();
    for (const warning of config.warnings) env.log.warn({}, warning);
    const closers = new Closers();
    if (isTemporary) closers.add(() => env.disk.removeTree(config.dataDir));
    try {
      const services = await compose(config, world, closers);
      const broker = new Broker(services, world, closers);
      await broker.openListeners();
      const tookMs = Math.round(env.clock.monotonic() - startedMs);
      env.log.info({ ...broker.describe(), tookMs }, 'the broker serves clients');
      return broker;
    } catch (error) {
      await closers.run();
      throw error;
    }
  }

  /**
   * Listeners that clients can connect to, in the order of the configuration.
   * @internal
   */
  get listeners(): readonly OpenListener[] {
    return this.open;
  }

  /** Addresses of the HTTP listeners. */
  get httpAddresses(): readonly Address[] {
    return this.openHttp;
  }

  /** Port of the first listener. */
  get port(): number {
    return (this.open[0] as OpenListener).port;
  }

  get host(): string {
    return (this.open[0] as OpenListener).host;
  }

  /** What a client of this machine connects to: `host:port` of the first listener. */
  get bootstrapServers(): string {
    const { advertised } = this.open[0] as OpenListener;
    const host = advertised.host === '' ? '127.0.0.1' : advertised.host;
    return host.includes(':') ? `[${host}]:${advertised.port}` : `${host}:${advertised.port}`;
  }

  /**
   * What HTTP serves slices of; undefined where that is switched off.
   * @internal
   */
  get slices(): Services | undefined {
    return this.services.config.get('slice.http.enable') ? this.services : undefined;
  }

  /** @internal */
  get mostHttpConnections(): number {
    return this.services.config.get('http.max.connections');
  }

  /** Why clients cannot be served as they should; undefined when they can. */
  unreadiness(): string | undefined {
    if (this.state !== 'ready') return `the broker is ${this.state}`;
    const { failedLogs } = this.services.logs.gauges();
    return failedLogs > 0 ? `writing failed on ${failedLogs} logs` : undefined;
  }

  /** Stops in an orderly way; further calls wait for the same end. */
  stop(): Promise<void> {
    this.stopped ??= this.shutDown();
    return this.stopped;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private async openListeners(): Promise<void> {
    const { config } = this.services;
    const { listeners, advertised, http } = config.listeners;
    this.closers.add(() => this.server.stop(STOP_GRACE_MS));
    for (const listener of listeners) {
      this.open.push(await this.server.listen(listener, advertised.get(listener.name)));
    }
    this.state = 'ready';
    const door = await this.world.openDoor?.(this);
    if (door !== undefined) this.closers.add(() => door.close());
    if (http.length === 0) return;
    const opened = await this.world.openHttp(http, this);
    this.closers.add(() => opened.close());
    this.openHttp = opened.addresses;
    if (this.slices !== undefined) this.services.locations.door = opened.addresses[0];
  }

  private async shutDown(): Promise<void> {
    const { env, watchers, groups } = this.services;
    const startedMs = env.clock.monotonic();
    this.state = 'stopping';
    // The server comes first, so that nobody whom we let go can park again.
    const connectionsEnd = this.server.stop(STOP_GRACE_MS);
    watchers.stop();
    groups.close();
    await connectionsEnd;
    try {
      await this.closers.run();
    } finally {
      this.state = 'stopped';
    }
    const tookMs = Math.round(env.clock.monotonic() - startedMs);
    env.log.info({ tookMs }, 'the broker has stopped');
  }

  private describe(): object {
    const { nodeId, clusterId, topics } = this.services;
    const listeners = this.open.map(({ name, host, port }) => `${name}://${host}:${port}`);
    return { nodeId, clusterId, listeners, dataDir: this.dataDir, topics: topics.count };
  }
}

/**
 * A simulated world with one broker in it: clock, disk, network and randomness of one seed, and the
 * lives of the broker's process, each of which can end at any call of the disk. What an ended life
 * still has running hears nothing more and changes nothing more.
 */

import { Broker } from '../../broker/broker.ts';
import { InlineCodecs } from '../../broker/codec-pool.ts';
import { settingsOfProgram } from '../../broker/config/sources.ts';
import { Config } from '../../broker/config.ts';
import type { World } from '../../broker/main.ts';
import type {
  Transport,
  TransportConnection,
  TransportEvents,
  TransportListener,
} from '../../broker/transport.ts';
import { InlineCleaners } from '../../storage/cleaner/inline-cleaners.ts';
import type { Clock, Disk, Logger, Timer } from '../../storage/env.ts';
import { SimClock } from './clock.ts';
import { ProcessEnded, SimDisk } from './disk.ts';
import { PoisoningFrames } from './frames.ts';
import { SeededRandom } from './random.ts';
import { SimulatedNetwork } from './transport.ts';

export const PORT = 9092;
const DATA_DIR = '/data';
const SHORTEST_WAIT_MS = 0.001;

const CACHED_BYTES = 1024 * 1024;

/** A line that the broker logged as an error. */
export interface LoggedError {
  readonly text: string;
  readonly error: unknown;
}

export class SimWorld {
  readonly random: SeededRandom;
  readonly clock = new SimClock();
  readonly disk = new SimDisk(this.clock);
  readonly network: SimulatedNetwork;
  readonly errors: LoggedError[] = [];
  /** How often the machine has lost its power so far. */
  powerCuts = 0;
  lives = 0;
  /** The disk has failed, or lost what was not synced: the broker may complain of it. */
  hasFaults = false;
  broker: Broker | undefined;
  readonly #settings: Readonly<Record<string, string>>;
  #life: Life | undefined;

  constructor(seed: number, settings: Readonly<Record<string, string>> = {}) {
    this.random = new SeededRandom(seed);
    this.network = new SimulatedNetwork(this.clock, this.random.fork(), { latencyMs: 2 });
    this.#settings = settings;
    // Every second machine tells how much its system caches: what is read at once is another way.
    this.disk.cachedBytes = seed % 2 === 0 ? CACHED_BYTES : undefined;
    this.disk.onEnd = () => this.#lifeEnded();
  }

  get isRunning(): boolean {
    return this.broker !== undefined;
  }

  /** Starts a process; false when it ended before it served anybody. */
  async start(): Promise<boolean> {
    const life = new Life(this, ++this.lives);
    this.#life = life;
    const config = new Config(
      settingsOfProgram({
        listeners: `PLAINTEXT://127.0.0.1:${PORT}`,
        'log.dirs': DATA_DIR,
        ...this.#settings,
      }),
    );
    const started = await Promise.race([Broker.launch(config, life.world()), life.ended]);
    if (started === undefined) return false;
    this.broker = started;
    return true;
  }

  /** Stops the process in an orderly way; false when it ended before that was done. */
  async stop(): Promise<boolean> {
    const { broker } = this;
    const life = this.#life;
    if (broker === undefined || life === undefined) return false;
    const stopped = await Promise.race([broker.stop().then(() => true), life.ended]);
    if (stopped !== true) return false;
    this.disk.kill();
    this.#lifeEnded();
    return true;
  }

  /** The process ends where it stands; what it wrote stays. */
  kill(): void {
    this.disk.kill();
    this.#lifeEnded();
  }

  /** The machine loses power: what was not synced stays or goes as the seed has it. */
  powerCut(): void {
    this.powerCuts++;
    this.hasFaults = true;
    this.disk.powerCut(this.random.fork());
    this.#lifeEnded();
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(ms, resolve));
  }

  #lifeEnded(): void {
    this.#life?.end();
    this.#life = undefined;
    this.broker = undefined;
  }
}

/** One process. */
class Life {
  readonly #world: SimWorld;
  readonly #number: number;
  readonly #startedMs: number;
  readonly #connections = new Set<TransportConnection>();
  readonly #listeners = new Set<TransportListener>();
  #isAlive = true;
  #end!: () => void;
  readonly ended: Promise<undefined>;

  constructor(world: SimWorld, number: number) {
    this.#world = world;
    this.#number = number;
    this.#startedMs = world.clock.monotonic();
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve(undefined);
    });
  }

  end(): void {
    this.#isAlive = false;
    for (const listener of this.#listeners) void listener.close();
    for (const connection of this.#connections) connection.destroy();
    this.#end();
  }

  world(): World {
    const { disk, random, powerCuts } = this.#world;
    const env = {
      clock: this.#clock(),
      disk: this.#withProcesses(disk.mount()),
      random: random.fork(),
      host: { bootId: `boot ${powerCuts}`, hostName: 'machine', processId: this.#number },
      log: this.#log(),
    };
    return {
      env,
      openCleaners: () => new InlineCleaners(env),
      transport: this.#transport(),
      frames: new PoisoningFrames(),
      openCodecs: () => new InlineCodecs(),
      openHttp: () => Promise.reject(new Error('there is no HTTP in this world')),
    };
  }

  /** The disk with the part of /proc by which one process sees that another one is gone. */
  #withProcesses(disk: Disk): Disk {
    const own = `/proc/${this.#number}/stat`;
    const contents = Buffer.from(
      `${this.#number} (tailrace) S${' 0'.repeat(18)} ${this.#number} 0`,
    );
    const namespace = { sizeBytes: 0, isDirectory: false, device: 4, inode: 99, modifiedMs: 0 };
    const readFile = disk.readFile.bind(disk);
    const stat = disk.stat.bind(disk);
    return Object.assign(disk, {
      readFile: (path: string) => (path === own ? Promise.resolve(contents) : readFile(path)),
      stat: (path: string) =>
        path === '/proc/self/ns/pid' ? Promise.resolve(namespace) : stat(path),
    });
  }

  #clock(): Clock {
    const { clock } = this.#world;
    const whileAlive = (run: () => void) => () => {
      if (!this.#isAlive) return;
      try {
        run();
      } catch (error) {
        // The process ended within this very step: there is nobody left who could hear of it.
        if (!(error instanceof ProcessEnded)) throw error;
      }
    };
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() - this.#startedMs,
      // Time moves on by a microsecond at least, as the arithmetic of doubles does not see to.
      setTimer: (delayMs, fire): Timer =>
        clock.setTimer(Math.max(delayMs, SHORTEST_WAIT_MS), whileAlive(fire)),
      defer: (run) => clock.defer(whileAlive(run)),
    };
  }

  #log(): Logger {
    const { errors } = this.#world;
    return {
      debug() {},
      info() {},
      warn() {},
      error: (values, text) => {
        if (this.#isAlive) errors.push({ text, error: (values as { err?: unknown }).err });
      },
    };
  }

  #transport(): Transport {
    return {
      listen: async (options, accept) => {
        const listener = await this.#world.network.listen(options, (connection) => {
          if (!this.#isAlive) return connection.destroy();
          this.#connections.add(connection);
          accept(this.#guard(connection));
        });
        this.#listeners.add(listener);
        return listener;
      },
    };
  }

  /** A connection of which an ended process hears nothing, and on which it sends nothing. */
  #guard(connection: TransportConnection): TransportConnection {
    const isAlive = () => this.#isAlive;
    const whileAlive = (run: () => void) => {
      if (isAlive()) run();
    };
    return {
      remoteAddress: connection.remoteAddress,
      remotePort: connection.remotePort,
      localAddress: connection.localAddress,
      localPort: connection.localPort,
      start: (events: TransportEvents) =>
        connection.start({
          data: (chunk) => whileAlive(() => events.data(chunk)),
          drained: () => whileAlive(() => events.drained()),
          gone: (error) => {
            this.#connections.delete(connection);
            whileAlive(() => events.gone(error));
          },
        }),
      write: (buffers, sent) => {
        if (isAlive()) return connection.write(buffers, sent);
        sent();
        return true;
      },
      pause: () => whileAlive(() => connection.pause()),
      resume: () => whileAlive(() => connection.resume()),
      end: () => whileAlive(() => connection.end()),
      destroy: () => whileAlive(() => connection.destroy()),
    };
  }
}

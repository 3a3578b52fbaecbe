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

/** What makes a broker of another kind: one that is wrong on purpose. */
export interface Tampering {
  /** Each life's disk, before the broker gets it. */
  disk?(disk: Disk): Disk;
  /** What the broker takes for the machine's boot. */
  readonly bootId?: string;
}

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
  /** A sync has failed in this life of the broker. */
  hasSyncFailed = false;
  broker: Broker | undefined;
  /** What the last life that was stopped in an orderly way had not let go of. */
  heldAtStop: readonly string[] = [];
  /** The most memory that any life has counted: in all, and of what is not in segments yet. */
  readonly peaks = { memoryBytes: 0, storageBytes: 0 };
  readonly tampering: Tampering;
  readonly #settings: Readonly<Record<string, string>>;
  #life: Life | undefined;

  constructor(
    seed: number,
    settings: Readonly<Record<string, string>> = {},
    tampering: Tampering = {},
  ) {
    this.tampering = tampering;
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
    this.hasSyncFailed = false;
    const config = new Config(
      settingsOfProgram({
        listeners: `PLAINTEXT://127.0.0.1:${PORT}`,
        'log.dirs': DATA_DIR,
        ...this.#settings,
      }),
    );
    const started = await Promise.race([Broker.launch(config, life.world()), life.ended]);
    // It may also have ended in the very moment at which it was up.
    if (started === undefined || this.#life !== life) return false;
    this.broker = started;
    return true;
  }

  /** Stops the process in an orderly way; false when it ended before that was done. */
  async stop(): Promise<boolean> {
    const { broker } = this;
    const life = this.#life;
    if (broker === undefined || life === undefined) return false;
    const stopped = await Promise.race([broker.stop().then(() => true), life.ended]);
    if (stopped !== true || this.#life !== life) return false;
    this.heldAtStop = life.held();
    this.disk.kill();
    this.#lifeEnded();
    return true;
  }

  /** The process ends where it stands; what it wrote stays. */
  kill(): void {
    this.disk.kill();
    this.#lifeEnded();
  }

  /** The process ends so many awaits from now, one at least, in the middle of whatever it does. */
  async killAfterAwaits(awaits: number): Promise<void> {
    const life = this.#life;
    for (let left = awaits; left >= 0; left--) await null;
    if (this.#life === life) this.kill();
  }

  /** The process stands still for so long, as after SIGSTOP: what there is for it to hear waits. */
  async hold(ms: number): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    let goOn = () => {};
    this.disk.held = new Promise((resolve) => {
      goOn = resolve;
    });
    life.hold();
    await this.sleep(ms);
    this.disk.held = undefined;
    goOn();
    life.goOn();
  }

  /** Looks at the memory that the broker counts. */
  measure(): void {
    if (this.broker === undefined) return;
    const { memory, logs } = this.broker.services;
    const { tailBytes, queueBytes } = logs.gauges();
    this.peaks.memoryBytes = Math.max(this.peaks.memoryBytes, memory.usedBytes);
    this.peaks.storageBytes = Math.max(this.peaks.storageBytes, tailBytes + queueBytes);
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

/** A connection of a process, whether it reads from it. */
interface Guarded {
  readonly connection: TransportConnection;
  isPaused: boolean;
}

/** One process. */
class Life {
  readonly #world: SimWorld;
  readonly #number: number;
  readonly #startedMs: number;
  readonly #connections = new Set<Guarded>();
  readonly #listeners = new Set<TransportListener>();
  readonly #timers = new Set<Timer>();
  #isAlive = true;
  /** While it stands still, what it is to hear of when it goes on. */
  #unheard: (() => void)[] | undefined;
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
    for (const { connection } of this.#connections) connection.destroy();
    this.#end();
  }

  hold(): void {
    this.#unheard = [];
    for (const { connection } of this.#connections) connection.pause();
  }

  goOn(): void {
    const unheard = this.#unheard ?? [];
    this.#unheard = undefined;
    for (const run of unheard) this.#hear(run);
    if (!this.#isAlive) return;
    for (const { connection, isPaused } of this.#connections) if (!isPaused) connection.resume();
  }

  /** The process hears of something, now or when it goes on; never when it has ended. */
  #hear(run: () => void): void {
    if (!this.#isAlive) return;
    if (this.#unheard !== undefined) {
      this.#unheard.push(run);
      return;
    }
    try {
      run();
    } catch (error) {
      // The process ended within this very step: there is nobody left who could hear of it.
      if (!(error instanceof ProcessEnded)) throw error;
    }
  }

  /** What is held still: nothing may be when the process has stopped in an orderly way. */
  held(): string[] {
    const files = [...this.#world.disk.openFiles].map(({ path }) => `the file ${path}`);
    const counts = {
      timers: this.#timers.size,
      connections: this.#connections.size,
      listeners: this.#listeners.size,
    };
    const others = Object.entries(counts).filter(([, count]) => count > 0);
    return [...files, ...others.map(([what, count]) => `${count} ${what}`)];
  }

  world(): World {
    const { random, powerCuts, tampering } = this.#world;
    const mounted = this.#world.disk.mount();
    const disk = tampering.disk?.(mounted) ?? mounted;
    const env = {
      clock: this.#clock(),
      disk: this.#withProcesses(disk),
      random: random.fork(),
      host: {
        bootId: tampering.bootId ?? `boot ${powerCuts}`,
        hostName: 'machine',
        processId: this.#number,
      },
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
    const heard = (run: () => void) => () => this.#hear(run);
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic() - this.#startedMs,
      // Time moves on by a microsecond at least, as the arithmetic of doubles does not see to.
      setTimer: (delayMs, fire): Timer => {
        const fired = heard(() => {
          // It may have been cancelled by what was heard of before it.
          if (this.#timers.delete(timer)) fire();
        });
        const set = clock.setTimer(Math.max(delayMs, SHORTEST_WAIT_MS), fired);
        const cancel = () => {
          this.#timers.delete(timer);
          set.cancel();
        };
        const timer = { cancel };
        this.#timers.add(timer);
        return timer;
      },
      defer: (run) => clock.defer(heard(run)),
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
          const guarded = { connection, isPaused: false };
          this.#connections.add(guarded);
          this.#hear(() => accept(this.#guard(guarded)));
        });
        // The process may have ended meanwhile.
        if (!this.#isAlive) await listener.close();
        else this.#listeners.add(listener);
        const close = () => {
          this.#listeners.delete(listener);
          return listener.close();
        };
        return { host: listener.host, port: listener.port, close };
      },
    };
  }

  /** A connection of which an ended process hears nothing, and on which it sends nothing. */
  #guard(guarded: Guarded): TransportConnection {
    const { connection } = guarded;
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
          data: (chunk) =>
            whileAlive(() => {
              events.data(chunk);
              this.#world.measure();
            }),
          drained: () => this.#hear(() => events.drained()),
          gone: (error) => {
            this.#connections.delete(guarded);
            this.#hear(() => events.gone(error));
          },
        }),
      write: (buffers, sent) => {
        if (isAlive()) return connection.write(buffers, () => this.#hear(sent));
        sent();
        return true;
      },
      pause: () =>
        whileAlive(() => {
          guarded.isPaused = true;
          connection.pause();
        }),
      resume: () =>
        whileAlive(() => {
          guarded.isPaused = false;
          connection.resume();
        }),
      end: () => whileAlive(() => connection.end()),
      destroy: () => whileAlive(() => connection.destroy()),
    };
  }
}

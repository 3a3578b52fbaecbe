/**
 * Runs the Apache Kafka that install-kafka.sh put there: one node, KRaft, plain text on loopback,
 * with the JVM settings of Kafka's own start script. It is the other side of the macro benchmark
 * and the reference for the client tests.
 *
 *   node build/benchmarks/peers/kafka.js [--port N] [name=value]...     runs until SIGINT or SIGTERM
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

const HOST = '127.0.0.1';
const START_LIMIT_MS = 60_000;
/** Kafka's kafka-run-class.sh starts the JVM with these. */
const JVM_OPTIONS = [
  '-Xms1g',
  '-Xmx1g',
  '-server',
  '-XX:+UseG1GC',
  '-XX:MaxGCPauseMillis=20',
  '-XX:InitiatingHeapOccupancyPercent=35',
  '-XX:+ExplicitGCInvokesConcurrent',
  '-Djava.awt.headless=true',
];

export interface KafkaOptions {
  /** Where install-kafka.sh put the jars; `.dev/kafka` of the working folder when not given. */
  readonly folder?: string;
  /** A free one is taken when not given. */
  readonly port?: number;
  /** Settings of server.properties beside those that a single node needs. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface RunningKafka {
  readonly host: string;
  readonly port: number;
  readonly pid: number;
  /** Where the folders of its partitions are. */
  readonly dataDir: string;
  /**
   * Ends the broker in an orderly way and starts it again on the same port and data;
   * `whileStopped` runs in between.
   */
  restart(whileStopped?: () => Promise<void>): Promise<void>;
  /** Its two halves, for who measures them; ended with SIGKILL nothing of it is orderly. */
  start(): Promise<void>;
  end(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Ends the broker and removes its data. */
  stop(): Promise<void>;
}

/** Starts a fresh broker in a folder of its own; resolves when it accepts connections. */
export async function startKafka(options: KafkaOptions = {}): Promise<RunningKafka> {
  const folder = options.folder ?? join('.dev', 'kafka');
  if (!existsSync(join(folder, 'VERSION'))) {
    throw new Error(`no Apache Kafka in ${folder}: run benchmarks/peers/install-kafka.sh`);
  }
  const home = mkdtempSync(join(tmpdir(), 'kafka-peer-'));
  const port = options.port ?? (await freePort());
  const properties = join(home, 'server.properties');
  writeFileSync(properties, serverProperties(home, port, await freePort(), options.settings ?? {}));
  const classPath = join(folder, 'libs', '*');
  formatStorage(classPath, properties);

  const broker = new KafkaProcess(classPath, properties, port);
  await broker.start();
  return {
    host: HOST,
    port,
    dataDir: dataDirOf(home),
    get pid() {
      return broker.pid;
    },
    restart: async (whileStopped) => {
      await broker.end();
      await whileStopped?.();
      await broker.start();
    },
    start: () => broker.start(),
    end: (signal) => broker.end(signal),
    stop: async () => {
      await broker.end();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function dataDirOf(home: string): string {
  return join(home, 'data');
}

class KafkaProcess {
  readonly #arguments: readonly string[];
  readonly #port: number;
  #child: ChildProcess | undefined;

  constructor(classPath: string, properties: string, port: number) {
    this.#arguments = [...JVM_OPTIONS, '-cp', classPath, 'kafka.Kafka', properties];
    this.#port = port;
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  async start(): Promise<void> {
    const child = spawn('java', this.#arguments, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    // A JVM must not outlive the process that started it, however that ends.
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    const errors: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    await untilListening(child, this.#port, () => Buffer.concat(errors).toString());
  }

  async end(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}

/** The version that is installed in a folder. */
export function kafkaVersion(folder = join('.dev', 'kafka')): string {
  return readFileSync(join(folder, 'VERSION'), 'utf8').trim();
}

function serverProperties(
  home: string,
  port: number,
  controllerPort: number,
  settings: Readonly<Record<string, string>>,
): string {
  const all: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': '0',
    'controller.quorum.voters': `0@${HOST}:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${HOST}:${port},CONTROLLER://${HOST}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': dataDirOf(home),
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    ...settings,
  };
  return Object.entries(all)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function formatStorage(classPath: string, properties: string): void {
  const clusterId = Buffer.from('tailrace-peer-00').toString('base64url');
  const result = spawnSync(
    'java',
    ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', properties],
    { encoding: 'utf8' },
  );
  if (result.status !== 0) throw new Error(`formatting failed: ${result.stdout}${result.stderr}`);
}

async function untilListening(
  child: ChildProcess,
  port: number,
  errors: () => string,
): Promise<void> {
  const deadline = performance.now() + START_LIMIT_MS;
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`Apache Kafka ended at once: ${errors()}`);
    if (performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`Apache Kafka did not listen within ${START_LIMIT_MS} ms: ${errors()}`);
    }
    await delay(50);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, HOST, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** A port of loopback that nobody listens on at this moment. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, HOST, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function main(args: readonly string[]): Promise<void> {
  const settings: Record<string, string> = {};
  let port: number | undefined;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at]!;
    const equals = word.indexOf('=');
    if (word === '--port') port = Number(args[++at]);
    else if (equals > 0) settings[word.slice(0, equals)] = word.slice(equals + 1);
    else throw new Error(`not an option: ${word}`);
  }
  const kafka = await startKafka(port === undefined ? { settings } : { port, settings });
  process.stdout.write(
    `Apache Kafka ${kafkaVersion()} on ${kafka.host}:${kafka.port}, pid ${kafka.pid}\n`,
  );
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
  });
  await kafka.stop();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(process.argv.slice(2));
}

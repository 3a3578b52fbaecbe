/**
 * Programs that do jobs with clients of other languages: a job goes in as one line of JSON, what
 * happened comes out as one JSON object a line. Each knows the same commands (see go/job, python):
 *
 * - produce: writes records with codecs
 * - stream: writes numbers with an idempotent producer, whatever the broker goes through
 * - consume: reads committed records from the beginning
 * - member: consumes in a group until its input ends, committing what it has told of
 * - transact: copies a topic in transactions, of which some are aborted, and is fenced in the end
 * - admin: goes through the life of a topic and of a group
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** No job takes so long; a client that waits for what never comes is ended. */
const JOB_LIMIT_MS = 90_000;
/** Where install.sh puts what it builds. */
const FOLDER = join('.dev', 'interop');
const PYTHON = join(FOLDER, 'python', 'bin', 'python');
const PYTHON_SOURCES = join('test', 'interop', 'python');

export type Command = 'produce' | 'stream' | 'consume' | 'member' | 'transact' | 'admin';

export interface Client {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

export const CLIENTS: readonly Client[] = [
  { name: 'franz-go', program: join(FOLDER, 'go', 'franz'), args: [] },
  { name: 'sarama', program: join(FOLDER, 'go', 'sarama'), args: [] },
  { name: 'confluent-kafka-python', program: PYTHON, args: [join(PYTHON_SOURCES, 'confluent.py')] },
  { name: 'kafka-python', program: PYTHON, args: [join(PYTHON_SOURCES, 'kafka_python.py')] },
];

export interface Header {
  readonly key: string;
  readonly value: string | null;
}

/** Keys and values are texts here, and base64 on the way to a program and back. */
export interface ForeignRecord {
  readonly key: string | null;
  readonly value: string | null;
  readonly headers: readonly Header[];
}

export interface ReadRecord extends ForeignRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestamp: number;
}

export interface Position {
  readonly topic: string;
  readonly partition: number;
}

/** What programs tell; each command its own part. */
export interface Told {
  readonly event?: 'record' | 'assigned' | 'acked';
  readonly record?: ReadRecord;
  readonly partitions?: readonly Position[];
  readonly count?: number;
  readonly [name: string]: unknown;
}

export interface Load {
  readonly topic: string;
  readonly codec: string;
  readonly records: readonly ForeignRecord[];
}

export interface Job {
  readonly bootstrap: string;
  readonly loads?: readonly Load[];
  readonly topics?: readonly string[];
  readonly topic?: string;
  readonly output?: string;
  readonly group?: string;
  readonly assignor?: 'range' | 'cooperative';
  readonly transactionalId?: string;
  readonly count?: number;
}

function encoded(text: string | null): string | null {
  return text === null ? null : Buffer.from(text).toString('base64');
}

function decoded(text: string | null): string | null {
  return text === null ? null : Buffer.from(text, 'base64').toString();
}

/** Records of a program have their texts in base64. */
function recode<R extends ForeignRecord>(record: R, code: (text: string | null) => string | null) {
  const headers = record.headers.map(({ key, value }) => ({ key, value: code(value) }));
  return { ...record, key: code(record.key), value: code(record.value), headers };
}

function written(job: Job): string {
  const loads = (job.loads ?? []).map((load) => ({
    ...load,
    records: load.records.map((record) => ({ partition: 0, ...recode(record, encoded) })),
  }));
  return `${JSON.stringify({ ...job, loads })}\n`;
}

/** A program at work. */
export class Program {
  readonly #child: ChildProcess;
  readonly #errors: Buffer[] = [];
  readonly #waiting = new Set<() => void>();
  readonly #name: string;
  readonly told: Told[] = [];
  /** Resolves when it ended well; rejects when it did not and was not killed. */
  readonly ended: Promise<void>;
  #isOver = false;

  constructor({ name, program, args }: Client, command: Command, job: Job, staysOpen: boolean) {
    if (!existsSync(program)) throw new Error(`no ${program}: run test/interop/install.sh`);
    this.#name = `${name} ${command}`;
    const child = spawn(program, [...args, command], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: JOB_LIMIT_MS,
    });
    this.#child = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.stderr.on('data', (bytes: Buffer) => this.#errors.push(bytes));
    child.stdin.on('error', () => {});
    child.stdin.write(written(job));
    if (!staysOpen) child.stdin.end();
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => {
        process.off('exit', kill);
        this.#isOver = true;
        if (code === 0 || signal === 'SIGKILL') resolve();
        else reject(new Error(`${this.#name} ended with ${code ?? signal}: ${this.errors}`));
        for (const look of this.#waiting) look();
      });
    });
    // Whoever waits for it hears of it; nobody has to.
    this.ended.catch(() => {});
  }

  get errors(): string {
    return Buffer.concat(this.#errors).toString().slice(-4000);
  }

  #take(line: string): void {
    const told = JSON.parse(line) as Told;
    const { record } = told;
    this.told.push(record === undefined ? told : { ...told, record: recode(record, decoded) });
    for (const look of this.#waiting) look();
  }

  get records(): ReadRecord[] {
    return this.told.flatMap(({ record }) => (record === undefined ? [] : [record]));
  }

  /** What a member has now. */
  get partitions(): number[] {
    const last = this.told.findLast(({ event }) => event === 'assigned');
    return (last?.partitions ?? []).map(({ partition }) => partition);
  }

  /** Resolves when a condition holds, which is looked at whenever the program tells something. */
  async until(what: string, holds: (program: this) => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const isTrue = holds(this);
        if (!isTrue && !this.#isOver) return;
        this.#waiting.delete(look);
        if (isTrue) resolve();
        else reject(new Error(`${this.#name} ended before ${what}: ${this.errors}`));
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Asks a member to leave its group; resolves when it has ended. */
  leave(): Promise<void> {
    this.#child.stdin!.end();
    return this.ended;
  }

  kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.ended;
  }
}

/** Does a job and gives what the program told; throws when it ended with an error. */
export async function doJob(client: Client, command: Command, job: Job): Promise<Program> {
  const program = new Program(client, command, job, false);
  await program.ended;
  return program;
}

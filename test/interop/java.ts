/** Java programs: those of java/src and Apache Kafka's own, out of what install/java.sh installed. */

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join('.dev', 'java');
const CLASS_PATH = [join(FOLDER, 'classes'), join(FOLDER, 'libs', '*')].join(':');
/** Short runs are over before the second compiler would be of use. */
const JVM_OPTIONS = ['-Xmx512m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];
const LIMIT_MS = 240_000;

export interface JavaOptions {
  /** Instead of that of install/java.sh. */
  readonly classPath?: string;
  readonly input?: string;
  readonly limitMs?: number;
  /** What it may end with; 0 when not given. */
  readonly exitCodes?: readonly number[];
  readonly jvmOptions?: readonly string[];
}

export interface JavaOutput {
  readonly out: string;
  /** Without what the logging library says of itself. */
  readonly err: string;
  readonly exitCode: number | null;
}

/** A JVM whose output is gathered, and that does not outlive who started it. */
export class JavaProcess {
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #out = '';
  #err = '';
  #hasEnded = false;

  constructor(mainClass: string, words: readonly string[], options: JavaOptions = {}) {
    if (!existsSync(join(FOLDER, 'libs'))) throw new Error('run test/interop/install.sh first');
    this.#name = mainClass.split('.').at(-1)!;
    const classPath = options.classPath ?? CLASS_PATH;
    const args = [...JVM_OPTIONS, ...(options.jvmOptions ?? []), '-cp', classPath, mainClass];
    const child = spawn('java', [...args, ...words], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child = child;
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        process.off('exit', kill);
        this.#hasEnded = true;
        resolve(code);
      });
    });
    // Who has ended before it read all is told by its exit code.
    child.stdin.on('error', () => {});
    if (options.input !== undefined) child.stdin.end(options.input);
  }

  get out(): string {
    return this.#out;
  }

  get err(): string {
    return this.#err.replace(/^(SLF4J|.*StatusLogger).*\n/gm, '');
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Writes a line to its input. */
  tell(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  kill(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): void {
    this.#child.kill(signal);
  }

  /** Resolves when it has ended, whatever with. */
  async ended(): Promise<JavaOutput> {
    const exitCode = await this.#ended;
    return { out: this.out, err: this.err, exitCode };
  }

  /** Resolves when its output satisfies a condition; throws when it ends before that. */
  async until(isThere: (out: string) => boolean, limitMs = LIMIT_MS): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (!isThere(this.#out)) {
      if (this.#hasEnded)
        throw new Error(`${this.#name} ended: ${this.err}${this.#out.slice(-2000)}`);
      if (performance.now() > deadline) {
        this.kill('SIGKILL');
        throw new Error(`${this.#name} says too little: ${this.err}${this.#out.slice(-2000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Runs a program to its end; throws when it ends with something else than it should. */
export async function runJava(
  mainClass: string,
  words: readonly string[],
  options: JavaOptions = {},
): Promise<JavaOutput> {
  const { limitMs = LIMIT_MS, exitCodes = [0] } = options;
  const java = new JavaProcess(mainClass, words, { input: '', ...options });
  const limit = setTimeout(() => java.kill('SIGKILL'), limitMs);
  const output = await java.ended();
  clearTimeout(limit);
  if (output.exitCode === null || !exitCodes.includes(output.exitCode)) {
    const { exitCode, err, out } = output;
    throw new Error(
      `${mainClass} ${words.join(' ')} ended with ${exitCode}: ${err}${out.slice(-3000)}`,
    );
  }
  return output;
}

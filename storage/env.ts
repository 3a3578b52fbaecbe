/**
 * The world as the storage and the broker see it: time, disk, randomness and the log are values
 * handed in, so that a whole broker runs in a simulated world from one seed. No other module reads
 * the clock, touches the disk or draws a random number.
 */

/** A timer that was set; cancelling one that has fired does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since 1970, integer. May jump. */
  now(): number;
  /** Milliseconds since some start, with fractions; never goes back. For waits and durations. */
  monotonic(): number;
  /**
   * Calls `fire` once, `delayMs` from now on the monotonic clock. Keeps the process alive only where
   * that is asked for: by who waits for it before anything else does.
   */
  setTimer(delayMs: number, fire: () => void, keepsAlive?: boolean): Timer;
  /** Calls `run` after the input that is already there has been taken in (setImmediate). */
  defer(run: () => void): void;
}

export interface Random {
  /** So many random bytes. */
  bytes(count: number): Buffer;
  /** A number in [0, 1). */
  fraction(): number;
}

/**
 * How a file is opened: `read` and `write` (reading too) want it there, `create` makes it new, for
 * reading and writing, and fails with EEXIST when it is there.
 */
export type OpenMode = 'read' | 'write' | 'create';

/** An open file. Every failure is an Error with Node's `code` (`ENOSPC`, `EIO`, ...). */
export interface DiskFile {
  readonly path: string;
  /** Fills `length` bytes of `target` from `targetStart`; fewer only at the file's end. */
  read(target: Buffer, targetStart: number, length: number, position: number): Promise<number>;
  readSync(target: Buffer, targetStart: number, length: number, position: number): number;
  /** Writes all buffers one after the other from `position`; either all of it or an error. */
  write(buffers: readonly Buffer[], position: number): Promise<void>;
  writeSync(buffers: readonly Buffer[], position: number): void;
  /** Makes what was written durable (fdatasync). A failure is final: never try again. */
  sync(): Promise<void>;
  /** The same, in the turn; for what is known to be quick. */
  syncSync(): void;
  truncate(sizeBytes: number): Promise<void>;
  /** Size in bytes, and what names the file on this host. */
  stat(): Promise<FileStat>;
  statSync(): FileStat;
  close(): Promise<void>;
}

export interface FileStat {
  readonly sizeBytes: number;
  readonly isDirectory: boolean;
  readonly device: number;
  readonly inode: number;
  readonly modifiedMs: number;
}

/** The file system. Paths are absolute or relative to the process; names are durable after `syncDir`. */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  /** The whole file; undefined when there is none. */
  readFile(path: string): Promise<Buffer | undefined>;
  /** Undefined when there is nothing at the path. */
  stat(path: string): Promise<FileStat | undefined>;
  /** Names in a folder, sorted; an empty list when there is no such folder. */
  list(path: string): Promise<string[]>;
  /** Makes a folder and those above it. */
  makeDir(path: string): Promise<void>;
  /** Replaces `to` when it is there. */
  rename(from: string, to: string): Promise<void>;
  /** Gives a file a second name; nothing happens when the name is there. */
  link(from: string, to: string): Promise<void>;
  /** Removes a file; nothing happens when there is none. */
  remove(path: string): Promise<void>;
  /**
   * The same; a large file that has no other name gives its room back step by step. Its name goes
   * first, so that nobody opens what is left of it. `rest` is waited for between two steps; when it
   * gives false, the remainder goes at once. A disk without it removes files well enough.
   */
  removeInSteps?(path: string, rest: () => Promise<boolean>): Promise<void>;
  /** Removes a folder and all in it; nothing happens when there is none. */
  removeTree(path: string): Promise<void>;
  /** Makes creations, renames and removals in a folder durable. */
  syncDir(path: string): Promise<void>;
  /**
   * Of what was written last, about so many bytes are read again without the device being asked, at
   * once. Where it is not given, no read may stop the process.
   */
  readonly cachedBytes?: number | undefined;
  /**
   * The same disk, whose `list`, `stat`, `readFile`, `makeDir` and `remove` stop the process for as
   * long as they take. For small files that is many times cheaper; for a start, which holds up nobody.
   * A disk without it does as well.
   */
  blocking?(): Disk;
  /**
   * Whether small calls are to be done at once, stopping the process for microseconds: all but
   * syncs, reads of files and large writes. For a start and a stop of thousands of logs, which hold
   * up nobody. A disk without it does as well.
   */
  setAtOnce?(isAtOnce: boolean): void;
  /** How large the volume is that a folder lies on; a disk that has no size does without. */
  volume?(folder: string): Promise<VolumeSize>;
}

export interface VolumeSize {
  readonly totalBytes: number;
  /** What may still be written by who is not the system's administrator. */
  readonly usableBytes: number;
}

/** What identifies the machine, for the offset leases and the lock on the data folder. */
export interface Host {
  readonly bootId: string;
  readonly hostName: string;
  readonly processId: number;
}

/** Structured log, in pino's shape: values first, then the sentence. */
export interface Logger {
  /** From which level on lines are written, by pino's names; a log that has it takes a new one. */
  level?: string;
  debug(values: object, text: string): void;
  info(values: object, text: string): void;
  warn(values: object, text: string): void;
  error(values: object, text: string): void;
}

export interface Env {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly host: Host;
  readonly log: Logger;
}

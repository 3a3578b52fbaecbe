/**
 * Files that locations were given out of. A generation that has left its log is kept here until its
 * file is removed, after `file.delete.delay.ms`; with the process all of them are forgotten, and
 * what the next start finds of them it removes.
 *
 * Where files are handed out by a static server, each generation also has a name of its own below
 * one folder: a hard link to its file, by which nothing else is ever to be had.
 */

import path from 'node:path';
import type { Disk, DiskFile, FileStat } from './env.ts';
import type { LogContext } from './log-context.ts';
import type { Segment } from './segment.ts';
import { SegmentReader } from './segment-reader.ts';
import type { LocatedFile } from './types.ts';

/** Folder, within the data folder, of the names for static servers. */
export const LOCATED_FOLDER = 'located';

/** A file as a location names it. */
export interface LocatedName {
  readonly topicId: string;
  readonly partition: number;
  readonly baseOffset: number;
  /** 16 hex digits. */
  readonly generation: string;
}

/** The name below LOCATED_FOLDER, and in a URL. */
export function locatedPath({ topicId, partition, baseOffset, generation }: LocatedName): string {
  return `${topicId}/${partition}/${baseOffset}-${generation}`;
}

/** A segment that has left its log; what of it was persisted ends below `endOffset`. */
interface LeftSegment {
  readonly topic: string;
  readonly name: LocatedName;
  readonly segment: Segment;
  readonly endOffset: number;
}

/** The generations of one data folder that have left their logs and can still be read. */
export class LeftSegments {
  readonly #byPath = new Map<string, LeftSegment>();
  readonly #bySegment = new Map<Segment, LeftSegment>();

  add(topic: string, name: LocatedName, segment: Segment, endOffset: number): void {
    const left = { topic, name, segment, endOffset };
    this.#byPath.set(locatedPath(name), left);
    this.#bySegment.set(segment, left);
  }

  /** The file is about to be removed; gives its name, if it had one. */
  remove(segment: Segment): LocatedName | undefined {
    const left = this.#bySegment.get(segment);
    if (left === undefined) return undefined;
    this.#bySegment.delete(segment);
    this.#byPath.delete(locatedPath(left.name));
    return left.name;
  }

  get(name: LocatedName): LeftSegment | undefined {
    return this.#byPath.get(locatedPath(name));
  }
}

/** The names for static servers. They are of one run: the next one makes those that it gives out. */
export class LocatedLinks {
  readonly #disk: Disk;
  readonly #folder: string;

  constructor(disk: Disk, dataDir: string) {
    this.#disk = disk;
    this.#folder = path.join(dataDir, LOCATED_FOLDER);
  }

  /** Gives a file its name, unless it has it. */
  async add(name: LocatedName, file: string): Promise<void> {
    const link = path.join(this.#folder, locatedPath(name));
    await this.#disk.makeDir(path.dirname(link));
    await this.#disk.link(file, link);
  }

  remove(name: LocatedName): Promise<void> {
    return this.#disk.remove(path.join(this.#folder, locatedPath(name)));
  }
}

class OpenSegment implements LocatedFile {
  readonly topic: string;
  readonly sizeBytes: number;
  readonly #file: DiskFile;
  readonly #close: () => void;

  constructor(topic: string, file: DiskFile, sizeBytes: number, close: () => void) {
    this.topic = topic;
    this.#file = file;
    this.sizeBytes = sizeBytes;
    this.#close = close;
  }

  read(target: Buffer, targetStart: number, length: number, position: number): Promise<number> {
    const end = Math.min(position + length, this.sizeBytes);
    if (position < 0 || end <= position) return Promise.resolve(0);
    return this.#file.read(target, targetStart, end - position, position);
  }

  release(): void {
    this.#close();
  }
}

/** Opens a file that has left its log; undefined when it is gone. */
export function openLeft(context: LogContext, name: LocatedName): Promise<LocatedFile | undefined> {
  const left = context.left.get(name);
  if (left === undefined) return Promise.resolve(undefined);
  return openSegment(context, left.topic, left.segment, left.endOffset);
}

/** Opens a segment's file, of which only what lies below an offset is to be had. */
export async function openSegment(
  context: LogContext,
  topic: string,
  segment: Segment,
  endOffset: number,
  isRight: (stat: FileStat) => boolean = () => true,
): Promise<LocatedFile | undefined> {
  const { files } = context;
  const file = await files.acquire(segment.file);
  let isKept = false;
  try {
    if (!isRight(await segment.identity())) return undefined;
    const sizeBytes = await bytesBelow(context, segment, endOffset);
    isKept = true;
    return new OpenSegment(topic, file, sizeBytes, () => files.release(segment.file));
  } finally {
    if (!isKept) files.release(segment.file);
  }
}

/** Where the first batch begins that reaches an offset; the end where none does. */
async function bytesBelow(
  context: LogContext,
  segment: Segment,
  endOffset: number,
): Promise<number> {
  const { sizeBytes, nextOffset } = segment;
  if (nextOffset <= endOffset) return sizeBytes;
  const place = await new SegmentReader(context, segment).find(endOffset);
  return place?.position ?? sizeBytes;
}

/**
 * Compiles a program's text with what V8 kept of an earlier run, so that a start neither parses nor
 * compiles it again: half of what a start costs beyond Node's own.
 *
 * The cache is a file beside the program. Its first 32 bytes are a SHA-256 over the program's name
 * (which tells one build from another), the version of Node and what follows; V8 itself checks only
 * its own version and flags, and the length of the text. A file that is missing, torn, damaged or of
 * another build or Node is as good as none: the program is compiled, and a new file may be kept.
 */

import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import vm from 'node:vm';

const DIGEST_BYTES = 32;

export interface ProgramFiles {
  /** A file with one expression in ASCII. */
  readonly program: string;
  readonly cache: string;
  /** Differs whenever the program's text does. */
  readonly name: string;
}

export interface Compiled {
  readonly script: vm.Script;
  /** Whether what was kept could be used. */
  readonly isCached: boolean;
}

export function compile(files: ProgramFiles): Compiled {
  const cachedData = readCache(files);
  const script = new vm.Script(readFileSync(files.program, 'latin1'), {
    filename: files.program,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  return { script, isCached: cachedData !== undefined && script.cachedDataRejected === false };
}

/**
 * Keeps what is compiled by now for the next start. Says whether it could: where the folder may not
 * be written, or the disk is full, starts stay as they are.
 */
export function keep(script: vm.Script, files: ProgramFiles): boolean {
  const data = script.createCachedData();
  const unfinished = `${files.cache}.${randomBytes(6).toString('hex')}`;
  try {
    // The name appears with all of the bytes: processes may start at any time, and read it.
    writeFileSync(unfinished, Buffer.concat([digest(files, data), data]), { flag: 'wx' });
    renameSync(unfinished, files.cache);
    return true;
  } catch {
    rmSync(unfinished, { force: true });
    return false;
  }
}

function readCache(files: ProgramFiles): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(files.cache);
  } catch {
    return undefined;
  }
  const data = bytes.subarray(DIGEST_BYTES);
  const isOurs = digest(files, data).equals(bytes.subarray(0, DIGEST_BYTES));
  return isOurs ? data : undefined;
}

function digest(files: ProgramFiles, data: Buffer): Buffer {
  const about = `${files.name} ${process.version} ${process.arch}\n`;
  return createHash('sha256').update(about).update(data).digest();
}

/** Runs the command line as a program. */

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

const isSource = import.meta.url.endsWith('.ts');
const program = resolve(import.meta.dirname, '../../cli', isSource ? 'main.ts' : 'main.js');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export function run(...words: string[]): Promise<Ended> {
  return runIn(process.cwd(), ...words);
}

/**
 * The same with a working folder. `env` takes away the loaders that the test's runner puts into
 * NODE_OPTIONS: they cost each process a second.
 */
export function runIn(cwd: string, ...words: string[]): Promise<Ended> {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, program, ...words], { cwd });
  let out = '';
  let err = '';
  child.stdout.on('data', (bytes: Buffer) => {
    out += bytes.toString();
  });
  child.stderr.on('data', (bytes: Buffer) => {
    err += bytes.toString();
  });
  return new Promise((done) => {
    child.on('close', (code) => done({ code, out, err }));
  });
}

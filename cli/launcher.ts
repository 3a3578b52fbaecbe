#!/usr/bin/env node
/**
 * What runs as `tailrace`: compiles the program beside it with what an earlier start has kept
 * (code-cache.ts), and runs it. When a broker serves and nothing was kept, this start keeps it.
 */

import { createRequire } from 'node:module';
import path from 'node:path';
import { compile, keep, type ProgramFiles } from './code-cache.ts';
import type * as Program from './main.ts';

/** Written here by scripts/bundle.js: the digest of the program. */
declare const PROGRAM_NAME: string;

type Run = (
  require: NodeJS.Require,
  module: { exports: typeof Program },
  filename: string,
  dirname: string,
) => void;

/** After the first requests, which a client sends at once: what answers them is kept, too. */
const KEEP_AFTER_MS = 500;

/** Threads that wait for the disk: the journal's syncs must not stand behind those of the segments. */
const DISK_THREADS = '8';
process.env.UV_THREADPOOL_SIZE ??= DISK_THREADS;

const files: ProgramFiles = {
  program: path.join(import.meta.dirname, 'program.js'),
  cache: path.join(import.meta.dirname, `program-${process.version}-${process.arch}.cache`),
  name: PROGRAM_NAME,
};
const { script, isCached } = compile(files);
const module = { exports: {} as typeof Program };
const run: Run = script.runInThisContext();
run(createRequire(import.meta.url), module, files.program, import.meta.dirname);
void module.exports.outcome.then((outcome) => {
  if (outcome !== 'serves' || isCached) return;
  setTimeout(() => keep(script, files), KEEP_AFTER_MS).unref();
});

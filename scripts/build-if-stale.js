/**
 * Before `npm start`: bundles the program when a source is newer than what was bundled last. It
 * does not check the types (`npm run build` does), so a first start takes a second.
 */

import { join, resolve } from 'node:path';
import fse from 'fs-extra';

const root = resolve(import.meta.dirname, '..');
const SOURCES = ['protocol', 'storage', 'broker', 'http', 'cli', 'scripts', 'package-lock.json'];

const built = await modified(join(root, 'dist', 'cli.cjs'));
const newest = Math.max(...(await Promise.all(SOURCES.map((name) => newestIn(join(root, name))))));
if (newest > built) await import('./bundle.js');

async function modified(path) {
  try {
    return (await fse.stat(path)).mtimeMs;
  } catch (error) {
    if (error.code === 'ENOENT') return 0;
    throw error;
  }
}

async function newestIn(path) {
  if (!(await fse.pathExists(path))) return 0;
  if (!(await fse.stat(path)).isDirectory()) return modified(path);
  const names = await fse.readdir(path, { recursive: true });
  return Math.max(0, ...(await Promise.all(names.map((name) => modified(join(path, name))))));
}

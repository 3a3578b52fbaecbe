/**
 * Makes what ships: one bundled file for the command line, one for `import { Broker }`, one for the
 * reader, the code they share, what is loaded only when asked for (HTTP) as chunks of its own, the worker threads,
 * and the types. Everything but the optional native checksum is inside, so that installing the
 * package installs nothing else, and a start reads few files.
 *
 *   node scripts/bundle.js            the JavaScript, straight from the sources
 *   node scripts/bundle.js --types    also the types, from the declarations that tsc wrote
 */

import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import fse from 'fs-extra';

const root = resolve(import.meta.dirname, '..');
const target = join(root, 'dist');
const TYPES_ENTRIES = ['broker/index.d.ts', 'reader/index.d.ts'];

await bundle();
if (process.argv.includes('--types')) await copyTypes();

async function bundle() {
  await fse.emptyDir(target);
  await bundleEntries({ cli: 'cli/main.ts', index: 'broker/index.ts' });
  // Apart, or what they share with the broker would become files of its own, each of which its
  // start has to find, read and link.
  await bundleEntries({ reader: 'reader/index.ts', ...(await workers()) });
  // Read from beside the code, at the first use of zstd on a Node that has none of its own.
  await fse.copyFile(
    join(root, 'node_modules/@bokuweb/zstd-wasm/dist/common/zstd.wasm'),
    join(target, 'zstd.wasm'),
  );
  await fse.chmod(join(target, 'cli.js'), 0o755);
}

async function bundleEntries(entries) {
  await build({
    absWorkingDir: root,
    entryPoints: Object.entries(entries).map(([out, source]) => ({ in: source, out })),
    outdir: target,
    bundle: true,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    platform: 'node',
    target: 'node20.19',
    format: 'esm',
    external: ['@node-rs/crc32'],
    // Names stay as they are, for the stacks in logs.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    // CommonJS packages inside an ES module ask for these.
    banner: {
      js:
        "import{createRequire as tailraceRequire}from'node:module';" +
        'const require=tailraceRequire(import.meta.url),__dirname=import.meta.dirname;',
    },
    logLevel: 'warning',
  });
}

/** Files that run as worker threads: beside the code that starts them, by a relative URL. */
async function workers() {
  const found = {};
  for (const room of ['protocol', 'storage', 'broker']) {
    for (const file of await fse.readdir(join(root, room), { recursive: true })) {
      const name = /([^/]+-worker)\.ts$/.exec(file)?.[1];
      if (name !== undefined) found[name] = `${room}/${file}`;
    }
  }
  return found;
}

/** Copies the declarations that the entries reach, and no others. */
async function copyTypes() {
  const from = join(root, 'build');
  const waiting = TYPES_ENTRIES.map((entry) => join(from, entry));
  const seen = new Set(waiting);
  for (const file of waiting) {
    const text = await fse.readFile(file, 'utf8');
    const copied = text
      .replace(/^\/\/# sourceMappingURL=.*$/m, '')
      // There are no sources beside them, so they say what is resolved everywhere.
      .replace(/((?:from|import\()\s*['"]\.[^'"]+)\.ts(['"])/g, '$1.js$2');
    await fse.outputFile(join(target, 'types', relative(from, file)), copied);
    for (const [, specifier] of text.matchAll(
      /(?:from|import\()\s*['"](\.[^'"]+)\.(?:ts|js)['"]/g,
    )) {
      const next = join(dirname(file), `${specifier}.d.ts`);
      if (!seen.has(next)) waiting.push(next);
      seen.add(next);
    }
  }
}

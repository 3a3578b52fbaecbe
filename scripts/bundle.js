/**
 * Makes what ships: for the command line a program in one file, what it loads only when asked for
 * (fastify and the like) as files of their own, and the launcher; for `import { Broker }` and the
 * reader ES modules with the code they share; the worker threads; and the types. Everything but the
 * optional native checksum is inside, so that installing the package installs nothing else, and a
 * start reads few files.
 *
 * The program is a script that V8's code cache can be kept of (cli/code-cache.ts), which Node 20
 * can of no ES module: an expression, a function of what a CommonJS module gets.
 *
 *   node scripts/bundle.js            the JavaScript, straight from the sources
 *   node scripts/bundle.js --types    also the types, from the declarations that tsc wrote
 */

import { createHash } from 'node:crypto';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import fse from 'fs-extra';
import { lateModules, latePackages } from './late-modules.js';

const root = resolve(import.meta.dirname, '..');
const target = join(root, 'dist');
/** Packages that HTTP alone needs. */
const LATE_PACKAGES = ['fastify', 'prom-client'];
const CJS_META = {
  'import.meta.url': '__url',
  'import.meta.dirname': '__dirname',
};
const URL_BANNER = "const __url=require('node:url').pathToFileURL(__filename).href;";
const COMMON = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  external: ['@node-rs/crc32'],
  // Names stay as they are, for the stacks in logs.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
};
const TYPES_ENTRIES = ['broker/index.d.ts', 'reader/index.d.ts'];

await bundle();
if (process.argv.includes('--types')) await copyTypes();

async function bundle() {
  await fse.emptyDir(target);
  await bundleProgram();
  await bundleEntries({ index: 'broker/index.ts' });
  // Apart, or what they share with the broker would become files of its own, each of which its
  // start has to find, read and link.
  await bundleEntries({ reader: 'reader/index.ts', ...(await workers()) });
  // Read from beside the code, at the first use of zstd on a Node that has none of its own.
  await fse.copyFile(
    join(root, 'node_modules/@bokuweb/zstd-wasm/dist/common/zstd.wasm'),
    join(target, 'zstd.wasm'),
  );
}

/** The command line: late packages, the program, and the launcher, which knows it by its digest. */
async function bundleProgram() {
  for (const name of LATE_PACKAGES) {
    await bundleCommonJs(name, `${name}.cjs`, { banner: { js: '"use strict";' } });
  }
  await bundleCommonJs('cli/main.ts', 'program.js', {
    banner: {
      js: `(function(require,module,__filename,__dirname){"use strict";var exports=module.exports;${URL_BANNER}`,
    },
    footer: { js: '})' },
    define: CJS_META,
    plugins: [lateModules, latePackages(LATE_PACKAGES)],
  });
  const program = await fse.readFile(join(target, 'program.js'));
  const name = createHash('sha256').update(program).digest('hex');
  await bundleCommonJs('cli/launcher.ts', 'cli.cjs', {
    banner: { js: URL_BANNER },
    define: { ...CJS_META, PROGRAM_NAME: JSON.stringify(name) },
  });
  await fse.chmod(join(target, 'cli.cjs'), 0o755);
}

function bundleCommonJs(source, out, options) {
  return build({
    ...COMMON,
    entryPoints: [source],
    outfile: join(target, out),
    format: 'cjs',
    ...options,
  });
}

async function bundleEntries(entries) {
  await build({
    ...COMMON,
    // The others are imported by names, which Node does not see in bundled CommonJS.
    plugins: [latePackages(['fastify'])],
    entryPoints: Object.entries(entries).map(([out, source]) => ({ in: source, out })),
    outdir: target,
    splitting: true,
    chunkNames: 'chunk-[hash]',
    format: 'esm',
    // CommonJS packages inside an ES module ask for these.
    banner: {
      js:
        "import{createRequire as tailraceRequire}from'node:module';" +
        'const require=tailraceRequire(import.meta.url),__dirname=import.meta.dirname;',
    },
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

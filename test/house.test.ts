/** The rules of the house that can be read off the sources: arrows, worlds, sizes, words. */

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

/** The project's folder, also when the test runs compiled, from `build/test`. */
function findRoot(): string {
  let folder = path.dirname(fileURLToPath(import.meta.url));
  while (!readdirSync(folder).includes('tsconfig.json')) folder = path.dirname(folder);
  return folder;
}

const root = findRoot();
/** A room may import from rooms below it. */
const FLOORS = new Map([
  ['protocol', 0],
  ['storage', 1],
  ['reader', 1],
  ['broker', 2],
  ['http', 3],
  ['cli', 4],
]);
/** Where the real world is made and handed in; it alone may reach up, for what is loaded late. */
const COMPOSITION_ROOT = 'broker/main.ts';
const MAX_LINES = 450;

interface Source {
  readonly name: string;
  readonly room: string;
  readonly text: string;
  /** Paths from the project's folder, and names of packages. */
  readonly imports: readonly string[];
}

function sources(): Source[] {
  const found: Source[] = [];
  for (const room of FLOORS.keys()) {
    const entries = readdirSync(path.join(root, room), { recursive: true, encoding: 'utf8' });
    for (const entry of entries) {
      if (!entry.endsWith('.ts')) continue;
      const name = path.join(room, entry);
      const text = readFileSync(path.join(root, name), 'utf8');
      found.push({ name, room, text, imports: importsOf(name, text) });
    }
  }
  return found;
}

function importsOf(name: string, text: string): string[] {
  const pattern = /(?:from\s+|import\s*\(\s*|^import\s+)'([^']+)'/gm;
  return [...text.matchAll(pattern)].map(([, target]) =>
    target!.startsWith('.') ? path.join(path.dirname(name), target!) : target!,
  );
}

/** The code without comments and texts. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$|'(?:\\.|[^'\\\n])*'/gm, '');
}

const all = sources();

t.test('there is something to look at', async (t) => {
  for (const room of FLOORS.keys())
    t.ok(
      all.some((source) => source.room === room),
      room,
    );
});

t.test('imports go one way', async (t) => {
  for (const { name, room, imports } of all) {
    if (name === COMPOSITION_ROOT) continue;
    for (const target of imports) {
      const floor = FLOORS.get(target.split('/')[0]!);
      if (floor === undefined) continue;
      if (floor > FLOORS.get(room)!) t.fail(`${name} imports ${target}`);
    }
  }
});

t.test(
  'the reader is a client: of the rooms it knows the protocol, and only the command line knows it',
  async (t) => {
    for (const { name, room, imports } of all) {
      for (const target of imports) {
        const to = target.split('/')[0]!;
        if (room === 'reader' && FLOORS.has(to) && to !== 'protocol' && to !== 'reader') {
          t.fail(`${name} imports ${target}`);
        }
        if (to === 'reader' && room !== 'reader' && room !== 'cli') {
          t.fail(`${name} imports ${target}`);
        }
      }
    }
  },
);

t.test('storage knows batches and records of the protocol, and no requests', async (t) => {
  for (const { name, room, imports } of all) {
    if (room !== 'storage') continue;
    for (const target of imports) {
      const isMessage = target.startsWith('protocol/messages/') && !target.endsWith('-records.ts');
      const isWire = /^protocol\/(frame|header)\.ts$/.test(target);
      if (isMessage || isWire) t.fail(`${name} imports ${target}`);
    }
  }
});

t.test('only those who make the world touch it', async (t) => {
  const makers = new Set([
    'storage/node-disk.ts',
    'storage/cleaner/cleaner-worker.ts',
    'broker/transport.ts',
    COMPOSITION_ROOT,
  ]);
  const worldly = /^(node:(fs|net|timers|dgram|http)(\/.*)?|fs-extra)$/;
  const calls =
    /\b(setTimeout|setInterval|setImmediate|Math\.random|Date\.now|new Date\(\)|performance\.now)\b/;
  for (const { name, room, text, imports } of all) {
    if (makers.has(name) || !['protocol', 'storage', 'broker'].includes(room)) continue;
    for (const target of imports) {
      if (worldly.test(target)) t.fail(`${name} imports ${target}`);
    }
    const found = calls.exec(code(text));
    if (found !== null) t.fail(`${name} uses ${found[0]}`);
  }
});

t.test('files can be held in the head', async (t) => {
  for (const { name, text } of all) {
    const lines = text.split('\n').length;
    if (lines > MAX_LINES) t.fail(`${name} has ${lines} lines`);
  }
});

t.test('every file says at its head what it is', async (t) => {
  for (const { name, text } of all) {
    if (!/^(#!.*\n)?\/\*\*/.test(text)) t.fail(name);
  }
});

t.test('nothing is left for later', async (t) => {
  for (const { name, text } of all) {
    const found = /\b(TODO|FIXME|XXX|HACK)\b|not implemented/.exec(text);
    if (found !== null) t.fail(`${name} says ${found[0]}`);
  }
});

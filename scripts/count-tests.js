/**
 * Reads what the tests said in TAP and prints `N passed, N failed` as a line of its own, and, on
 * standard error, all that was said about what failed. What is counted are the statements of the
 * test files: the subtests of each file, and a file that ended without any or that failed outside
 * of them. Fails when one failed or when nothing passed.
 *
 *   node scripts/count-tests.js FILE...
 */

import { readFileSync } from 'node:fs';

/** Lines that are shown of a file in which something failed. */
const SHOWN_LINES = 200;

/** What one test file said. */
class FileLines {
  failed = 0;
  #lines = [];

  add(line) {
    this.#lines.push(line);
  }

  /** The failures with what was said about them, and without what passed. */
  aboutFailures() {
    const told = this.#lines.filter((line) => !/^ *(ok \d|# Subtest|1\.\.\d|\{?$)/.test(line));
    return told.slice(0, SHOWN_LINES).join('\n');
  }
}

let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of process.argv.slice(2)) countIn(readFileSync(file, 'utf8'));
process.stdout.write(
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
);
if (failed > 0 || passed === 0) process.exitCode = 1;

function countIn(text) {
  let file = new FileLines();
  let isDiagnostic = false;
  for (const line of text.split('\n')) {
    file.add(line);
    // tap writes diagnostics between `---` and `...`; what a test printed there is no result.
    if (/^\s*---$/.test(line)) isDiagnostic = true;
    else if (/^\s*\.\.\.$/.test(line)) isDiagnostic = false;
    if (isDiagnostic) continue;
    const result = /^( {4})?(not ok|ok) \d+(?: - ([^#]*))?(?:# *(.*))?/.exec(line);
    if (result === null) continue;
    const [, indent, verdict, name, directive = ''] = result;
    const isSkipped = /^(SKIP|TODO)/i.test(directive);
    if (indent !== undefined) {
      if (isSkipped) skipped += 1;
      else if (verdict === 'ok') passed += 1;
      else file.failed += 1;
      continue;
    }
    // A file's own line comes after those of its subtests, which are indented by four spaces.
    if (!isSkipped && verdict === 'not ok') {
      failed += Math.max(file.failed, 1);
      process.stderr.write(`\n${name}\n${file.aboutFailures()}\n`);
    }
    file = new FileLines();
  }
  failed += file.failed;
}

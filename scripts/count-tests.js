/**
 * Reads what the tests said in TAP and prints `N passed, N failed` as a line of its own. What is
 * counted are the statements of the test files: the subtests of each file, and a file that ended
 * without any or that failed outside of them. Fails when one failed or when nothing passed.
 *
 *   node scripts/count-tests.js FILE...
 */

import { readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
let skipped = 0;
for (const file of process.argv.slice(2)) countIn(readFileSync(file, 'utf8'));
process.stdout.write(
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
);
if (failed > 0 || passed === 0) process.exitCode = 1;

function countIn(text) {
  // A file's own line comes after those of its subtests, which are indented by four spaces.
  let failedInFile = 0;
  let depth = 0;
  for (const line of text.split('\n')) {
    // tap writes diagnostics between `---` and `...`; what a test printed there is no result.
    if (/^\s*---$/.test(line)) depth += 1;
    else if (/^\s*\.\.\.$/.test(line)) depth = 0;
    if (depth > 0) continue;
    const result = /^( {0,4})(not ok|ok) \d+(?: - ([^#]*))?(?:# *(.*))?/.exec(line);
    if (result === null || (result[1] !== '' && result[1] !== '    ')) continue;
    const [, indent, verdict, , directive = ''] = result;
    if (/^(SKIP|TODO)/i.test(directive)) {
      if (indent !== '') skipped += 1;
    } else if (indent !== '') {
      if (verdict === 'ok') passed += 1;
      else failedInFile += 1;
    } else {
      if (verdict === 'not ok' && failedInFile === 0) failed += 1;
      failed += failedInFile;
      failedInFile = 0;
    }
  }
  failed += failedInFile;
}

import fc from 'fast-check';
import t from 'tap';
import { PatternFault, TextPattern } from '../../broker/text-pattern.ts';

t.test('a pattern matches a text as a whole', async (t) => {
  const cases: [pattern: string, matches: string[], others: string[]][] = [
    ['', [''], ['a']],
    ['abc', ['abc'], ['ab', 'abcd', 'xabc']],
    ['a|bc|', ['a', 'bc', ''], ['b', 'abc']],
    ['app-.*', ['app-', 'app-1', 'app-é\u{1f980}'], ['ap', 'xapp-1', 'app-\n']],
    ['a*b+c?', ['b', 'aabbc'], ['a', 'abcc']],
    ['(ab|c){2}', ['abc', 'cab', 'cc', 'abab'], ['ab', 'ccc']],
    ['x{2,}y{0,1}', ['xx', 'xxxxy'], ['x', 'xxyy']],
    ['x{,2}', ['x{,2}'], ['xx']],
    ['[a-c_]+[^a-c]', ['ab_d', 'cz'], ['abc', 'd']],
    ['[]a]+', [']a'], ['b']],
    ['[a-]+', ['a-a'], ['b']],
    ['\\d+\\.\\w\\s\\S', ['12.a b'], ['12xa b', '.a b']],
    ['[\\d.]+', ['1.2'], ['1,2']],
    ['^a$', ['a'], ['^a$']],
    ['(?:a.)*?b', ['b', 'axb', 'axayb'], ['ab']],
    ['\u{1f980}{2}', ['\u{1f980}\u{1f980}'], ['\u{1f980}']],
  ];
  for (const [pattern, matches, others] of cases) {
    const read = new TextPattern(pattern);
    for (const text of matches) t.ok(read.matches(text), `${pattern} matches ${text}`);
    for (const text of others) t.notOk(read.matches(text), `${pattern} does not match ${text}`);
  }
});

t.test('what is no pattern is refused', async (t) => {
  const bad = ['(', ')', 'a)', '[', '[b-a]', '*', 'a**', '\\', '\\1', '(?=a)', 'a{2,1}', 'a{1001}'];
  for (const pattern of [...bad, '((((a{100}){100}){100}){100})', '('.repeat(1000)]) {
    t.throws(() => new TextPattern(pattern), PatternFault, pattern);
  }
});

t.test('a text that keeps a backtracking engine busy for ever takes no time', async (t) => {
  t.notOk(new TextPattern('(a+)+(a+)+$').matches(`${'a'.repeat(2000)}b`));
});

t.test('it agrees with the engine of Node', async () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(?:ab)', '\\w');
  const more = fc.constantFrom('', '', '*', '+', '?', '{2}', '{1,2}', '{0,}');
  const part = fc.tuple(atom, more).map(([one, often]) => one + often);
  const pattern = fc.array(part, { maxLength: 4 }).map((parts) => parts.join(''));
  const either = fc.array(pattern, { minLength: 1, maxLength: 3 }).map((ways) => ways.join('|'));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
  fc.assert(
    fc.property(either, text, (source, value) => {
      const expected = new RegExp(`^(?:${source})$`, 'u').test(value);
      return new TextPattern(source).matches(value) === expected;
    }),
    { numRuns: 500 },
  );
});

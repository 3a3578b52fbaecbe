/**
 * Regular expressions that clients send, in the syntax of RE2 that Kafka takes, matched as a whole
 * and in time that is bounded by the text's length times the pattern's: all ways of matching are
 * followed side by side (Thompson), where Node's own engine tries one after the other and can be
 * kept busy for ever.
 *
 * Known are characters, `.`, classes, groups, `|`, `*`, `+`, `?`, `{m,n}`, anchors and the escapes
 * \\d \\w \\s and their opposites; back references and looking around are not, as in RE2.
 */

/** A pattern that cannot be read. */
export class PatternFault extends Error {
  override readonly name = 'PatternFault';
}

type Test = (codePoint: number) => boolean;

/** A step: takes a character that passes, or leads to others without one. */
interface Step {
  test?: Test;
  next: Step[];
  readonly index: number;
}

/** Steps a pattern may come to: a repetition counts for as many as it repeats. */
const MAX_STEPS = 2000;
const MAX_REPEAT = 1000;
const MAX_DEPTH = 100;

const isDigit: Test = (c) => c >= 48 && c <= 57;
const isWord: Test = (c) => isDigit(c) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95;
const isSpace: Test = (c) => c === 32 || (c >= 9 && c <= 13);
const CLASSES: Readonly<Record<string, Test>> = {
  d: isDigit,
  w: isWord,
  s: isSpace,
  D: (c) => !isDigit(c),
  W: (c) => !isWord(c),
  S: (c) => !isSpace(c),
};
const CONTROLS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f', v: '\v' };

/** What a part of the pattern matches: makes its steps so that they lead to a given one. */
type Part = (to: Step) => Step;

export class TextPattern {
  readonly #pattern: readonly string[];
  #at = 0;
  #depth = 0;
  #steps = 0;
  readonly #end: Step;
  readonly #start: Step;

  /** Throws PatternFault. */
  constructor(pattern: string) {
    this.#pattern = [...pattern];
    const part = this.#alternatives();
    if (this.#at < this.#pattern.length) throw new PatternFault('an unmatched )');
    this.#end = this.#step();
    this.#start = part(this.#end);
  }

  /** Whether the pattern matches a text from its beginning to its end. */
  matches(text: string): boolean {
    let current = this.#reach([this.#start]);
    for (const character of text) {
      const codePoint = character.codePointAt(0)!;
      const next: Step[] = [];
      for (const step of current) if (step.test?.(codePoint)) next.push(...step.next);
      if (next.length === 0) return false;
      current = this.#reach(next);
    }
    return current.has(this.#end);
  }

  /** The steps with a test, and the end, that are reached without taking a character. */
  #reach(from: Step[]): Set<Step> {
    const reached = new Set<Step>();
    const seen = new Uint8Array(this.#steps);
    for (let step = from.pop(); step !== undefined; step = from.pop()) {
      if (seen[step.index] === 1) continue;
      seen[step.index] = 1;
      if (step.test !== undefined || step === this.#end) reached.add(step);
      else from.push(...step.next);
    }
    return reached;
  }

  #step(next: Step[] = [], test?: Test): Step {
    if (this.#steps === MAX_STEPS) throw new PatternFault('the pattern is too large');
    const step: Step = { next, index: this.#steps++ };
    if (test !== undefined) step.test = test;
    return step;
  }

  #peek(): string | undefined {
    return this.#pattern[this.#at];
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  #alternatives(): Part {
    if (++this.#depth > MAX_DEPTH) throw new PatternFault('groups are nested too deep');
    const ways = [this.#sequence()];
    while (this.#take('|')) ways.push(this.#sequence());
    this.#depth -= 1;
    if (ways.length === 1) return ways[0]!;
    return (to) => this.#step(ways.map((way) => way(to)));
  }

  #sequence(): Part {
    const parts: Part[] = [];
    for (;;) {
      const character = this.#peek();
      if (character === undefined || character === '|' || character === ')') break;
      parts.push(this.#repeated(this.#atom()));
    }
    return (to) => parts.reduceRight((next, part) => part(next), to);
  }

  #repeated(part: Part): Part {
    const [least, most] = this.#bounds();
    if (least === 1 && most === 1) return part;
    // Taking as few as possible matches the same texts.
    this.#take('?');
    return (to) => {
      let next = to;
      if (most === Number.POSITIVE_INFINITY) {
        const loop = this.#step([to]);
        loop.next.unshift(part(loop));
        next = loop;
      } else {
        for (let more = least; more < most; more++) next = this.#step([part(next), to]);
      }
      for (let must = 0; must < least; must++) next = part(next);
      return next;
    };
  }

  #bounds(): [least: number, most: number] {
    if (this.#take('*')) return [0, Number.POSITIVE_INFINITY];
    if (this.#take('+')) return [1, Number.POSITIVE_INFINITY];
    if (this.#take('?')) return [0, 1];
    if (this.#peek() !== '{') return [1, 1];
    const close = this.#pattern.indexOf('}', this.#at);
    const inside = this.#pattern.slice(this.#at + 1, Math.max(close, 0)).join('');
    const read = /^(\d{1,5})(?:(,)(\d{1,5})?)?$/.exec(inside);
    // As RE2 does it, a brace that is no repetition is a character.
    if (close < 0 || read === null) return [1, 1];
    this.#at = close + 1;
    const least = Number(read[1]);
    const open = read[3] === undefined ? Number.POSITIVE_INFINITY : Number(read[3]);
    const most = read[2] === undefined ? least : open;
    const largest = most === Number.POSITIVE_INFINITY ? least : most;
    if (largest > MAX_REPEAT || most < least) throw new PatternFault('a repetition out of range');
    return [least, most];
  }

  #atom(): Part {
    const character = this.#pattern[this.#at++]!;
    if (character === '(') return this.#group();
    if (character === '[') return this.#tested(this.#class());
    if (character === '.') return this.#tested((c) => c !== 10);
    // Matched is always the whole text, so that an anchor within is the same as none at its ends.
    if (character === '^' || character === '$') return this.#anchor(character);
    if (character === '*' || character === '+' || character === '?') {
      throw new PatternFault('nothing to repeat');
    }
    return this.#tested(character === '\\' ? this.#escape() : only(character));
  }

  #anchor(character: string): Part {
    const isAtEdge = character === '^' ? this.#at === 1 : this.#at === this.#pattern.length;
    if (isAtEdge) return (to) => to;
    // Elsewhere, with characters before or behind it, it never holds.
    return () => this.#step([]);
  }

  #group(): Part {
    if (this.#take('?') && !this.#take(':')) throw new PatternFault('an unknown kind of group');
    const inner = this.#alternatives();
    if (!this.#take(')')) throw new PatternFault('a group without end');
    return inner;
  }

  #tested(test: Test): Part {
    return (to) => this.#step([to], test);
  }

  #escape(): Test {
    const character = this.#pattern[this.#at++];
    if (character === undefined) throw new PatternFault('a \\ at the end');
    const known = CLASSES[character] ?? (CONTROLS[character] && only(CONTROLS[character]));
    if (known) return known;
    if (/[a-zA-Z0-9]/.test(character)) throw new PatternFault(`an unknown escape \\${character}`);
    return only(character);
  }

  #class(): Test {
    const isNegated = this.#take('^');
    const tests: Test[] = [];
    for (let isFirst = true; ; isFirst = false) {
      const character = this.#pattern[this.#at++];
      if (character === undefined) throw new PatternFault('a class without end');
      if (character === ']' && !isFirst) break;
      tests.push(this.#member(character));
    }
    const isIn: Test = (c) => tests.some((test) => test(c));
    return isNegated ? (c) => !isIn(c) : isIn;
  }

  #member(first: string): Test {
    if (first === '\\') return this.#escape();
    const isRange = this.#peek() === '-' && (this.#pattern[this.#at + 1] ?? ']') !== ']';
    if (!isRange) return only(first);
    const last = this.#pattern[this.#at + 1]!;
    this.#at += 2;
    const from = first.codePointAt(0)!;
    const to = last.codePointAt(0)!;
    if (last === '\\' || to < from) throw new PatternFault('a range out of order');
    return (c) => c >= from && c <= to;
  }
}

function only(character: string): Test {
  const codePoint = character.codePointAt(0)!;
  return (c) => c === codePoint;
}

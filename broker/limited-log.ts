/**
 * A log for what clients can bring about as often as they like: so many lines of each kind in each
 * second, and with the next line how many were left out. Without it a flood of bad requests would
 * become a flood of writes.
 */

import type { Clock, Logger } from '../storage/env.ts';

const LINES_PER_WINDOW = 10;
const WINDOW_MS = 1000;
/** Longest part of a client's text that is logged. */
const SHOWN_CHARACTERS = 120;

interface Window {
  startedMs: number;
  lines: number;
  leftOut: number;
}

/** A client's text as it may appear in a log line. */
export function shown(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}

export class LimitedLog {
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly windows = new Map<string, Window>();

  constructor(clock: Clock, log: Logger) {
    this.clock = clock;
    this.log = log;
  }

  info(values: object, text: string): void {
    this.write('info', values, text);
  }

  warn(values: object, text: string): void {
    this.write('warn', values, text);
  }

  error(values: object, text: string): void {
    this.write('error', values, text);
  }

  /** `text` is the kind: a sentence of ours without values in it. */
  private write(level: 'info' | 'warn' | 'error', values: object, text: string): void {
    const leftOut = this.admit(text);
    if (leftOut === undefined) return;
    this.log[level](leftOut === 0 ? values : { ...values, leftOut }, text);
  }

  /** Undefined when the line is one too many, else how many were left out since the last one. */
  private admit(kind: string): number | undefined {
    const now = this.clock.monotonic();
    let window = this.windows.get(kind);
    if (window === undefined) {
      window = { startedMs: now, lines: 0, leftOut: 0 };
      this.windows.set(kind, window);
    }
    if (now - window.startedMs >= WINDOW_MS) {
      window.startedMs = now;
      window.lines = 0;
    }
    if (window.lines === LINES_PER_WINDOW) {
      window.leftOut += 1;
      return undefined;
    }
    window.lines += 1;
    const leftOut = window.leftOut;
    window.leftOut = 0;
    return leftOut;
  }
}

/**
 * What the operators' commands print: tables for people, JSON lines for programs. On a terminal
 * tables have lines and colours (none with NO_COLOR); elsewhere columns are set apart by spaces, so
 * that they can be read and cut.
 */

import Table from 'cli-table3';

export type Cell = string | number | undefined;

const PLAIN_CHARS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
const CYAN = '\u001b[36m';
const DEFAULT_COLOUR = '\u001b[39m';
const BOX_MIDDLE = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

/** The text of a table; numbers stand at the right. */
export function tableText(
  head: readonly string[],
  rows: readonly (readonly Cell[])[],
  isTerminal = process.stdout.isTTY === true,
  hasColours = isTerminal && !process.env.NO_COLOR,
): string {
  const isRight = head.map((_, column) =>
    rows.every((row) => row[column] === undefined || typeof row[column] === 'number'),
  );
  const table = new Table({
    head: head.map((name) => (hasColours ? CYAN + name + DEFAULT_COLOUR : name)),
    chars: isTerminal ? BOX_MIDDLE : PLAIN_CHARS,
    colAligns: isRight.map((right) => (right ? 'right' : 'left')),
    style: {
      // The library's own colours depend on how the process was started.
      head: [],
      border: [],
      ...(isTerminal ? {} : { 'padding-left': 0, 'padding-right': 0 }),
    },
  });
  for (const row of rows) table.push(row.map((cell) => String(cell ?? '-')));
  const text = table.toString();
  return isTerminal ? text : text.replace(/ +$/gm, '');
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function printJson(value: object): void {
  print(JSON.stringify(value));
}

/** Something that belongs to the answer but not into it. */
export function tell(text: string): void {
  process.stderr.write(`tailrace: ${text}\n`);
}

/** Waits until what was printed has left, so that a long dump does not fill the memory. */
export function drained(): Promise<void> | undefined {
  const { stdout } = process;
  if (!stdout.writableNeedDrain) return undefined;
  return new Promise((resolve) => stdout.once('drain', resolve));
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export function sizeText(bytes: number | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${UNITS[unit]}`;
}

/** A time as people and programs read it; times that no calendar has stay numbers. */
export function timeText(timestamp: number | undefined): string | undefined {
  if (timestamp === undefined || timestamp < 0) return undefined;
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? String(timestamp) : date.toISOString();
}

export function ratioText(ratio: number): string {
  return `${(ratio * 100).toFixed(1)} %`;
}

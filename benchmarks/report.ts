/** Figures of several rounds brought together: the median of each side, and the ratio's spread. */

import type { Figure, Figures } from './scenario.ts';

/** What one scenario gave, by the name of the broker: one entry a round. */
export type Rounds = ReadonlyMap<string, readonly Figures[]>;

export interface ScenarioResult {
  readonly name: string;
  readonly about: string;
  readonly rounds: Rounds;
}

interface Row {
  readonly figure: string;
  readonly unit: string;
  /** One text a broker. */
  readonly values: readonly string[];
  /** The first broker's over each other one's. */
  readonly ratios: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Three digits that mean something. */
export function digits(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const magnitude = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.max(0, 2 - magnitude));
}

/** Median, and from smallest to largest where there were several rounds. */
function spread(values: readonly number[]): string {
  const middle = digits(median(values));
  if (values.length === 1) return middle;
  return `${middle} (${digits(Math.min(...values))}-${digits(Math.max(...values))})`;
}

function rowOf(name: string, brokers: readonly (readonly Figures[])[]): Row {
  const columns = brokers.map((rounds) => rounds.map((figures) => figures[name]?.value));
  const known = columns.map((column) => column.filter((value) => value !== undefined));
  const sample = brokers.flat().find((figures) => figures[name] !== undefined)![name]!;
  return {
    figure: name,
    unit: sample.unit,
    values: known.map((values) => (values.length > 0 ? spread(values) : '-')),
    ratios: columns.slice(1).map((column) => ratioOf(sample, columns[0]!, column)),
  };
}

type Column = readonly (number | undefined)[];

/** One broker over another, round by round; what is better is told by the figure. */
function ratioOf(sample: Figure, first: Column, second: Column): string {
  const ratios: number[] = [];
  for (const [round, value] of first.entries()) {
    const other = second[round];
    if (value !== undefined && other !== undefined && other !== 0) ratios.push(value / other);
  }
  if (ratios.length === 0) return '';
  const ahead = sample.better === 'higher' ? median(ratios) > 1 : median(ratios) < 1;
  return `${spread(ratios)} ${ahead ? '+' : '-'}`;
}

/** A table in Markdown: readable on a terminal, and to be pasted into a page. */
export function table(result: ScenarioResult): string {
  const brokers = [...result.rounds.keys()];
  const rounds = [...result.rounds.values()];
  const names = [...new Set(rounds.flat().flatMap((figures) => Object.keys(figures)))];
  const head = ['', 'unit', ...brokers, ...brokers.slice(1).map((name) => `first / ${name}`)];
  const lines = names.map((name) => {
    const row = rowOf(name, rounds);
    return [row.figure, row.unit, ...row.values, ...row.ratios];
  });
  const widths = head.map((_, column) =>
    Math.max(3, ...[head, ...lines].map((cells) => cells[column]!.length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [`### ${result.name}: ${result.about}`, '', line(head), rule, ...lines.map(line)].join(
    '\n',
  );
}

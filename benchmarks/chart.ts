/** Small pictures in SVG: panels of lines over logarithmic axes, readable on light and on dark. */

export interface Point {
  readonly x: number;
  readonly y: number;
  /** Written beside it. */
  readonly label?: string;
}

export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  readonly dashed?: boolean;
  /** Lines of one colour belong together; counted from 0. */
  readonly colour: number;
}

export interface Panel {
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly lines: readonly Line[];
}

const WIDTH = 520;
const HEIGHT = 380;
const LEFT = 64;
const RIGHT = 18;
const TOP = 40;
const BOTTOM = 52;
/** Told apart without seeing red and green. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];

/** A logarithmic axis from the decade below the smallest value to the one above the largest. */
class Axis {
  readonly #from: number;
  readonly #to: number;
  readonly #start: number;
  readonly #end: number;

  constructor(values: readonly number[], start: number, end: number) {
    const positive = values.filter((value) => value > 0);
    if (positive.length === 0) positive.push(1);
    this.#from = Math.floor(Math.log10(Math.min(...positive)));
    this.#to = Math.max(this.#from + 1, Math.ceil(Math.log10(Math.max(...positive))));
    this.#start = start;
    this.#end = end;
  }

  at(value: number): number {
    const exponent = Math.log10(Math.max(value, 10 ** this.#from));
    const share = (exponent - this.#from) / (this.#to - this.#from);
    return Math.round((this.#start + share * (this.#end - this.#start)) * 10) / 10;
  }

  /** Powers of ten. */
  *ticks(): Generator<number> {
    for (let exponent = this.#from; exponent <= this.#to; exponent += 1) yield 10 ** exponent;
  }
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function text(x: number, y: number, content: string, more = ''): string {
  return `<text x="${x}" y="${y}" ${more}>${escaped(content)}</text>`;
}

function drawAxes(panel: Panel, x: Axis, y: Axis): string[] {
  const parts = [text(WIDTH / 2, 20, panel.title, 'text-anchor="middle" font-weight="bold"')];
  const bottom = HEIGHT - BOTTOM;
  for (const tick of x.ticks()) {
    const at = x.at(tick);
    parts.push(`<path class="grid" d="M${at} ${TOP}V${bottom}"/>`);
    parts.push(text(at, bottom + 16, String(tick), 'text-anchor="middle"'));
  }
  for (const tick of y.ticks()) {
    const at = y.at(tick);
    parts.push(`<path class="grid" d="M${LEFT} ${at}H${WIDTH - RIGHT}"/>`);
    parts.push(text(LEFT - 6, at + 4, String(tick), 'text-anchor="end"'));
  }
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, panel.xTitle, 'text-anchor="middle"'));
  const middle = (TOP + bottom) / 2;
  const turned = `text-anchor="middle" transform="rotate(-90 14 ${middle})"`;
  parts.push(text(14, middle, panel.yTitle, turned));
  return parts;
}

function drawLine(line: Line, x: Axis, y: Axis): string[] {
  const colour = COLOURS[line.colour % COLOURS.length]!;
  const path = line.points.map((point) => `${x.at(point.x)} ${y.at(point.y)}`).join('L');
  const dashes = line.dashed ? ' stroke-dasharray="5 4"' : '';
  const parts = [`<path fill="none" stroke="${colour}" stroke-width="2"${dashes} d="M${path}"/>`];
  for (const point of line.points) {
    const [left, top] = [x.at(point.x), y.at(point.y)];
    parts.push(`<circle cx="${left}" cy="${top}" r="3" fill="${colour}"/>`);
    if (point.label !== undefined)
      parts.push(text(left + 5, top - 5, point.label, 'font-size="9"'));
  }
  return parts;
}

function drawLegend(lines: readonly Line[]): string[] {
  return lines.flatMap((line, index) => {
    const top = TOP + 14 + index * 15;
    const left = WIDTH - RIGHT - 150;
    const colour = COLOURS[line.colour % COLOURS.length]!;
    const dashes = line.dashed ? ' stroke-dasharray="5 4"' : '';
    const mark = `<path stroke="${colour}" stroke-width="2"${dashes} d="M${left} ${top - 4}h22"/>`;
    return [mark, text(left + 28, top, line.name, 'font-size="10"')];
  });
}

function drawPanel(panel: Panel, index: number): string {
  const points = panel.lines.flatMap((line) => line.points);
  const x = new Axis(
    points.map((point) => point.x),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = new Axis(
    points.map((point) => point.y),
    HEIGHT - BOTTOM,
    TOP,
  );
  const parts = [
    ...drawAxes(panel, x, y),
    ...panel.lines.flatMap((line) => drawLine(line, x, y)),
    ...drawLegend(panel.lines),
  ];
  return `<g transform="translate(${index * WIDTH} 0)">\n${parts.join('\n')}\n</g>`;
}

/** The panels beside each other; `title` is what the picture shows, in words. */
export function chart(title: string, panels: readonly Panel[]): string {
  const width = WIDTH * panels.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${HEIGHT}" width="${width}">`,
    `<title>${escaped(title)}</title>`,
    '<style>text{font:12px sans-serif;fill:#777}.grid{stroke:#999;stroke-opacity:.3}</style>',
    ...panels.map(drawPanel),
    '</svg>',
    '',
  ].join('\n');
}

/**
 * Parameters of routes: declared once, read from a request with clear errors, and described in the
 * OpenAPI document from the same declaration.
 */

import { Problem } from './problem.ts';

interface Declared<T> {
  readonly in: 'path' | 'query';
  readonly doc: string;
  /** JSON schema of the text. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Used where the request has none; undefined makes the parameter required. */
  readonly default: T | undefined;
  read(text: string, name: string): T;
}

export type Parameter<T> = Declared<T>;
// biome-ignore lint/suspicious/noExplicitAny: a table holds parameters of all types.
export type Parameters = Readonly<Record<string, Parameter<any>>>;
export type Values<P extends Parameters> = {
  readonly [N in keyof P]: P[N] extends Parameter<infer T> ? T : never;
};

type Place = Pick<Declared<unknown>, 'in' | 'doc'>;

function refuse(name: string, text: string, takes: string): never {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  throw new Problem('INVALID_REQUEST', `${name}=${JSON.stringify(shown)}: it takes ${takes}`);
}

/** An integer of at least `minimum`; above `maximum` it is taken as that. */
export function integer(
  place: Place & { readonly default?: number; readonly minimum: number; readonly maximum: number },
): Parameter<number> {
  const { minimum, maximum } = place;
  return {
    ...place,
    default: place.default,
    schema: {
      type: 'integer',
      minimum,
      ...(place.default !== undefined && { default: place.default }),
    },
    read(text, name) {
      if (!/^\d{1,20}$/.test(text) || Number(text) < minimum) {
        refuse(name, text, `an integer of at least ${minimum}`);
      }
      return Math.min(Number(text), maximum);
    },
  };
}

export function choice<const T extends string>(
  values: readonly T[],
  place: Place & { readonly default?: NoInfer<T> },
): Parameter<T> {
  const { default: otherwise } = place;
  return {
    ...place,
    default: otherwise,
    schema: { type: 'string', enum: values, ...(otherwise && { default: otherwise }) },
    read(text, name) {
      const value = values.find((known) => known === text);
      return value ?? refuse(name, text, values.join(' or '));
    },
  };
}

/** A text of a form, read by `parse`, which gives undefined for what has not that form. */
export function text<T>(
  place: Place & {
    readonly default?: T;
    readonly pattern: string;
    readonly takes: string;
    readonly parse: (text: string) => T | undefined;
  },
): Parameter<T> {
  const { pattern, takes, parse } = place;
  return {
    in: place.in,
    doc: place.doc,
    default: place.default,
    schema: { type: 'string', pattern },
    read: (value, name) => parse(value) ?? refuse(name, value, takes),
  };
}

/** Reads the parameters of a request; throws Problem for what is missing, unknown, or no value. */
export function readParameters<P extends Parameters>(
  declared: P,
  path: Readonly<Record<string, string>>,
  query: Readonly<Record<string, unknown>>,
): Values<P> {
  for (const name of Object.keys(query)) {
    if (declared[name]?.in !== 'query') {
      throw new Problem('INVALID_REQUEST', `there is no parameter ${JSON.stringify(name)}`);
    }
  }
  const values: Record<string, unknown> = {};
  for (const [name, parameter] of Object.entries(declared)) {
    const given = parameter.in === 'path' ? path[name] : query[name];
    if (given === undefined) {
      if (parameter.default === undefined) {
        throw new Problem('INVALID_REQUEST', `the parameter ${name} is missing`);
      }
      values[name] = parameter.default;
    } else if (typeof given === 'string') values[name] = parameter.read(given, name);
    else throw new Problem('INVALID_REQUEST', `the parameter ${name} is given twice`);
  }
  return values as Values<P>;
}

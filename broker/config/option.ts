/**
 * How one configuration is declared, read from text and written as text. Everything else that
 * knows configurations (the parsers of files, environment and command line, the types of
 * `Config.get`, DescribeConfigs, docs/configuration.md) is derived from such declarations.
 *
 * Texts are Kafka's: a list is separated by commas, a long that stands for "for ever" is 2^63-1.
 * Longs are held as safe integers; what lies beyond ±(2^53 - 1) is held as that bound and
 * written as the bound of int64. Source: Kafka's ConfigDef.
 */

/** Kafka's types, as DescribeConfigs names them. */
export type OptionKind =
  | 'boolean'
  | 'string'
  | 'int'
  | 'short'
  | 'long'
  | 'double'
  | 'list'
  | 'password';

/** Whether and at which level a running broker takes a new value (AlterConfigs). */
export type Dynamic = 'read-only' | 'per-broker' | 'cluster-wide';

export type OptionValueType = boolean | string | number | readonly string[] | null;

export interface Option<T extends OptionValueType = OptionValueType> {
  readonly kind: OptionKind;
  readonly default: T;
  readonly doc: string;
  readonly min: number | undefined;
  readonly max: number | undefined;
  /** The only texts (or list entries) that are legal. */
  readonly values: readonly string[] | undefined;
  readonly dynamic: Dynamic;
  /** Why a value is kept and shown but changes nothing; undefined for what takes effect. */
  readonly inert: string | undefined;
  /** Not one of Kafka's names. */
  readonly own: boolean;
  /** Kafka's default, where ours is another. */
  readonly kafkaDefault: string | undefined;
  /** A further check: what is wrong with a value, or undefined. */
  fault(value: T): string | undefined;
}

interface Details<T> {
  readonly doc: string;
  readonly min?: number;
  readonly max?: number;
  readonly values?: readonly string[];
  readonly dynamic?: Dynamic;
  readonly inert?: string;
  readonly own?: boolean;
  readonly kafkaDefault?: string;
  readonly fault?: (value: T) => string | undefined;
}

function option<T extends OptionValueType>(
  kind: OptionKind,
  defaultValue: T,
  details: Details<NoInfer<T>>,
): Option<T> {
  return {
    kind,
    default: defaultValue,
    doc: details.doc,
    min: details.min,
    max: details.max,
    values: details.values,
    dynamic: details.dynamic ?? 'read-only',
    inert: details.inert,
    own: details.own ?? false,
    kafkaDefault: details.kafkaDefault,
    fault: details.fault ?? (() => undefined),
  };
}

/** Stands for 2^63-1, Kafka's "never". */
export const FOREVER = Number.MAX_SAFE_INTEGER;

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

export const bool = (byDefault: boolean, details: Details<boolean>): Option<boolean> =>
  option('boolean', byDefault, details);

/** A string that must be one of a list. */
export const choice = <const V extends readonly string[]>(
  values: V,
  byDefault: V[number],
  details: Details<V[number]>,
): Option<V[number]> => option<V[number]>('string', byDefault, { ...details, values });

export const text = (byDefault: string, details: Details<string>): Option<string> =>
  option('string', byDefault, details);

export const optionalText = (details: Details<string | null>): Option<string | null> =>
  option<string | null>('string', null, details);

const INT32 = { min: -(2 ** 31), max: 2 ** 31 - 1 };

export const int = (byDefault: number, details: Details<number>): Option<number> =>
  option('int', byDefault, { ...INT32, ...details });

export const optionalInt = (details: Details<number | null>): Option<number | null> =>
  option<number | null>('int', null, { ...INT32, ...details });

export const short = (byDefault: number, details: Details<number>): Option<number> =>
  option('short', byDefault, { min: -(2 ** 15), max: 2 ** 15 - 1, ...details });

export const long = (byDefault: number, details: Details<number>): Option<number> =>
  option('long', byDefault, details);

export const optionalLong = (details: Details<number | null>): Option<number | null> =>
  option<number | null>('long', null, details);

export const double = (byDefault: number, details: Details<number>): Option<number> =>
  option('double', byDefault, details);

export const list = (
  byDefault: readonly string[],
  details: Details<readonly string[]>,
): Option<readonly string[]> => option('list', byDefault, details);

export const optionalList = (
  details: Details<readonly string[] | null>,
): Option<readonly string[] | null> => option<readonly string[] | null>('list', null, details);

/** A value that an option does not take; the message says what it does take. */
export class IllegalValue extends Error {
  readonly optionName: string;

  constructor(name: string, value: string | null, reason: string) {
    super(`Invalid value ${value} for configuration ${name}: ${reason}`);
    this.name = 'IllegalValue';
    this.optionName = name;
  }
}

/** What an option takes, in words: `an integer of at least 1`. */
export function rangeText(option: Option): string {
  const { kind, values } = option;
  if (kind === 'boolean') return 'true or false';
  if (values !== undefined) {
    const words = values.map((value) => (value === '' ? 'nothing' : value)).join(', ');
    return kind === 'list' ? `a list of ${words}` : `one of ${words}`;
  }
  if (kind === 'list') return 'a list separated by commas';
  if (kind === 'string' || kind === 'password') return 'a text';
  const noun = kind === 'double' ? 'a number' : 'an integer';
  const wide = kind === 'int' ? INT32 : { min: undefined, max: undefined };
  const min = option.min === wide.min ? undefined : option.min;
  const max = option.max === wide.max ? undefined : option.max;
  if (min !== undefined && max !== undefined) return `${noun} from ${min} to ${max}`;
  if (min !== undefined) return `${noun} of at least ${min}`;
  return max === undefined ? noun : `${noun} of at most ${max}`;
}

/** Reads a value. Throws IllegalValue. */
export function parseValue<T extends OptionValueType>(
  name: string,
  option: Option<T>,
  raw: string,
): T {
  const value = parseKind(name, option, raw);
  const allowed = option.values;
  const entries = Array.isArray(value) ? value : [value];
  const outside = typeof value === 'number' && !isWithin(option, value);
  if (outside || (allowed !== undefined && !entries.every((entry) => allowed.includes(entry)))) {
    throw new IllegalValue(name, raw, `it takes ${rangeText(option)}`);
  }
  const fault = option.fault(value as T);
  if (fault !== undefined) throw new IllegalValue(name, raw, fault);
  return value as T;
}

function isWithin(option: Option, value: number): boolean {
  return !(value < (option.min ?? -Infinity)) && !(value > (option.max ?? Infinity));
}

function parseKind(name: string, option: Option, raw: string): OptionValueType {
  const trimmed = raw.trim();
  switch (option.kind) {
    case 'boolean': {
      const lower = trimmed.toLowerCase();
      if (lower === 'true') return true;
      if (lower === 'false') return false;
      throw new IllegalValue(name, raw, 'it takes true or false');
    }
    case 'int':
    case 'short':
    case 'long':
      return parseInteger(name, option, trimmed);
    case 'double': {
      const value = Number(trimmed);
      if (trimmed === '' || Number.isNaN(value)) {
        throw new IllegalValue(name, raw, `it takes ${rangeText(option)}`);
      }
      return value;
    }
    case 'list':
      return trimmed === '' ? [] : trimmed.split(',').map((entry) => entry.trim());
    case 'string':
    case 'password':
      return trimmed;
  }
}

function parseInteger(name: string, option: Option, raw: string): number {
  if (!/^[+-]?\d{1,20}$/.test(raw)) {
    throw new IllegalValue(name, raw, `it takes ${rangeText(option)}`);
  }
  const value = BigInt(raw.startsWith('+') ? raw.slice(1) : raw);
  if (value > INT64_MAX || value < INT64_MIN) {
    throw new IllegalValue(name, raw, 'it does not fit into 64 bits');
  }
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) return Number.MAX_SAFE_INTEGER;
  if (value < BigInt(Number.MIN_SAFE_INTEGER)) return Number.MIN_SAFE_INTEGER;
  return Number(value);
}

/** A value as Kafka writes it; null for none. */
export function formatValue(option: Option, value: OptionValueType): string | null {
  if (value === null) return null;
  if (Array.isArray(value)) return value.join(',');
  if (typeof value !== 'number') return String(value);
  if (option.kind === 'double') return formatDouble(value);
  if (value >= Number.MAX_SAFE_INTEGER) return INT64_MAX.toString();
  if (value <= Number.MIN_SAFE_INTEGER) return INT64_MIN.toString();
  return String(value);
}

/** As Java writes a double: with a fraction, and with E for what is very large or small. */
function formatDouble(value: number): string {
  const size = Math.abs(value);
  if (value !== 0 && (size >= 1e7 || size < 1e-3) && Number.isFinite(value)) {
    const [mantissa = '', exponent = ''] = value.toExponential().split('e');
    return `${mantissa.includes('.') ? mantissa : `${mantissa}.0`}E${Number(exponent)}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

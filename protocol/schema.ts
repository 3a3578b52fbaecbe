/**
 * Declarations of Kafka's messages: one declaration covers all versions of a message, and the
 * TypeScript types of what is decoded and of what may be encoded are inferred from it.
 *
 * A declaration is data only. `compile.ts` turns it into fast text for one version, `walk.ts` reads
 * it step by step. Version ranges are written as Kafka's message definitions write them: `3+`,
 * `0-4`, `2`. Source: apache/kafka clients/src/main/resources/common/message/README.md.
 */

/** A version range: `3+`, `0-4` or `2`. */
export type VersionRange = string;

/** `records` to be encoded: one buffer, or several that are sent one after the other uncopied. */
export type RecordSet = Buffer | readonly Buffer[];

/** The JavaScript type of each primitive kind. int64 saturates at the safe integers, ±(2^53 - 1). */
export interface KindTypes {
  bool: boolean;
  int8: number;
  int16: number;
  uint16: number;
  int32: number;
  uint32: number;
  int64: number;
  float64: number;
  string: string;
  /** 16 bytes as Kafka prints them: base64url without padding, 22 characters. */
  uuid: string;
  bytes: Buffer;
  /** Decoded: a slice of the frame. */
  records: Buffer;
}

export type PrimitiveKind = keyof KindTypes;

/** What a primitive of this kind may be given as when it is encoded. */
type InputOf<K extends PrimitiveKind> = K extends 'records' ? RecordSet : KindTypes[K];

export interface FieldOptions {
  /** Versions in which null may stand for the value. */
  readonly nullable?: VersionRange;
  /** The value where a version lacks the field; makes the field optional when encoding. */
  readonly default?: unknown;
  /** Number of the tagged field, with `tagged` the versions in which it travels tagged. */
  readonly tag?: number;
  readonly tagged?: VersionRange;
}

export type FieldType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'struct'; readonly fields: Fields }
  | { readonly kind: 'array'; readonly element: FieldType };

/**
 * One field. `D` is the type of the decoded value, `I` of a value to encode, `O` says whether the
 * field may be left out when encoding. The three exist for the compiler only.
 */
export interface Field<D = unknown, I = unknown, O extends boolean = boolean> {
  readonly type: FieldType;
  readonly versions: VersionRange;
  readonly nullable: VersionRange | undefined;
  readonly default: unknown;
  readonly tag: number | undefined;
  readonly tagged: VersionRange | undefined;
  readonly phantom?: { decoded: D; input: I; optional: O };
}

export type Fields = { readonly [name: string]: Field };

type OrNull<T, O> = O extends { nullable: VersionRange } ? T | null : T;
type IsOptional<O> = O extends { default: unknown } ? true : false;
type Simplify<T> = { [K in keyof T]: T[K] } & {};
type OptionalKeys<F extends Fields> = {
  [K in keyof F]: F[K] extends Field<unknown, unknown, infer O>
    ? O extends true
      ? K
      : never
    : never;
}[keyof F];

/** The decoded form of a list of fields: every field is there, in whatever version. */
export type DecodedFields<F extends Fields> = Simplify<{
  -readonly [K in keyof F]: F[K] extends Field<infer D, unknown, boolean> ? D : never;
}>;

/** What may be encoded for a list of fields: fields with a default may be left out. */
export type InputFields<F extends Fields> = Simplify<
  {
    readonly [K in Exclude<keyof F, OptionalKeys<F>>]: F[K] extends Field<unknown, infer I, boolean>
      ? I
      : never;
  } & {
    readonly [K in OptionalKeys<F>]?: F[K] extends Field<unknown, infer I, boolean>
      ? I | undefined
      : never;
  }
>;

function field(type: FieldType, versions: VersionRange, options: FieldOptions): Field {
  return {
    type,
    versions,
    nullable: options.nullable,
    default: options.default,
    tag: options.tag,
    tagged: options.tagged,
  };
}

function primitive<K extends PrimitiveKind>(kind: K) {
  // biome-ignore lint/complexity/noBannedTypes: {} is "no options given" in the inference.
  return <const O extends FieldOptions = {}>(versions: VersionRange, options?: O) =>
    field({ kind }, versions, options ?? {}) as Field<
      OrNull<KindTypes[K], O>,
      OrNull<InputOf<K>, O>,
      IsOptional<O>
    >;
}

export const bool = primitive('bool');
export const int8 = primitive('int8');
export const int16 = primitive('int16');
export const uint16 = primitive('uint16');
export const int32 = primitive('int32');
export const uint32 = primitive('uint32');
export const int64 = primitive('int64');
export const float64 = primitive('float64');
export const string = primitive('string');
export const uuid = primitive('uuid');
export const bytes = primitive('bytes');
export const records = primitive('records');

/** A nested struct. */
// biome-ignore lint/complexity/noBannedTypes: as above.
export function struct<const F extends Fields, const O extends FieldOptions = {}>(
  versions: VersionRange,
  fields: F,
  options?: O,
) {
  return field({ kind: 'struct', fields }, versions, options ?? {}) as Field<
    OrNull<DecodedFields<F>, O>,
    OrNull<InputFields<F>, O>,
    IsOptional<O>
  >;
}

/** An array of structs. */
// biome-ignore lint/complexity/noBannedTypes: as above.
export function array<const F extends Fields, const O extends FieldOptions = {}>(
  versions: VersionRange,
  fields: F,
  options?: O,
) {
  const element: FieldType = { kind: 'struct', fields };
  return field({ kind: 'array', element }, versions, options ?? {}) as Field<
    OrNull<DecodedFields<F>[], O>,
    OrNull<readonly InputFields<F>[], O>,
    IsOptional<O>
  >;
}

/** An array of primitives. */
// biome-ignore lint/complexity/noBannedTypes: as above.
export function arrayOf<K extends PrimitiveKind, const O extends FieldOptions = {}>(
  kind: K,
  versions: VersionRange,
  options?: O,
) {
  return field({ kind: 'array', element: { kind } }, versions, options ?? {}) as Field<
    OrNull<KindTypes[K][], O>,
    OrNull<readonly InputOf<K>[], O>,
    IsOptional<O>
  >;
}

/** What a message is, apart from its fields. */
export interface MessageHead {
  /** API key of a request or response; type id of a stored record. */
  readonly key: number;
  readonly type: 'request' | 'response' | 'record';
  /** Versions that can be decoded and encoded. */
  readonly versions: VersionRange;
  /** First versions with compact types and tagged fields; undefined where there is none. */
  readonly flexible?: VersionRange;
}

export interface Message<F extends Fields = Fields> extends MessageHead {
  readonly name: string;
  readonly fields: F;
}

/** The decoded form of a message. */
export type Decoded<M> = M extends Message<infer F> ? DecodedFields<F> : never;

/** What may be encoded as a message. */
export type Input<M> = M extends Message<infer F> ? InputFields<F> : never;

/** Declares a message. */
export function message<const F extends Fields>(
  name: string,
  head: MessageHead,
  fields: F,
): Message<F> {
  return { name, ...head, fields };
}

/** The uuid that stands for none. */
export const ZERO_UUID = 'AAAAAAAAAAAAAAAAAAAAAA';

/** First and last version of a range; `3+` ends at Infinity. Throws RangeError on other text. */
export function parseRange(range: VersionRange): { first: number; last: number } {
  const match = /^(\d+)(?:(\+)|-(\d+))?$/.exec(range);
  if (match === null) throw new RangeError(`not a version range: ${range}`);
  const first = Number(match[1]);
  const last = match[2] === '+' ? Number.POSITIVE_INFINITY : Number(match[3] ?? match[1]);
  return { first, last };
}

/** Whether a version lies in a range; undefined is the empty range. */
export function inRange(range: VersionRange | undefined, version: number): boolean {
  if (range === undefined) return false;
  const { first, last } = parseRange(range);
  return version >= first && version <= last;
}

/**
 * The work on compressed batches as pure steps: message in, message out, so that the same code runs
 * in a worker thread and, in a simulated world, inline. Faults of the bytes are part of the
 * answer; only a bug of ours throws.
 */

import {
  CorruptCompression,
  codecNames,
  DecompressionLimit,
  decompressionLimit,
  loadCodec,
} from '../protocol/compression.ts';
import { Codec } from '../protocol/record-batch.ts';
import { InvalidRecords } from '../protocol/records.ts';
import {
  checkRecords,
  type RecordClaims,
  type RecordFindings,
  type RecordRules,
} from './record-checks.ts';

/** Decompress the records of a batch that is stored already. */
export interface DecompressJob {
  readonly kind: 'decompress';
  readonly payload: Uint8Array;
  readonly codec: number;
  readonly maxBytes: number;
}

/** Decompress the records of a client's batch, check them, and compress them anew where asked. */
export interface CheckJob {
  readonly kind: 'check';
  readonly payload: Uint8Array;
  readonly codec: number;
  readonly maxBytes: number;
  readonly claims: RecordClaims;
  readonly rules: RecordRules;
  /** Asked of records that came compressed. */
  readonly maxRecordBytes: number;
  readonly nowMs: number;
  readonly target: { readonly codec: number; readonly level: number | undefined } | undefined;
}

/** Compress the records of a batch that were taken from it uncompressed. */
export interface CompressJob {
  readonly kind: 'compress';
  readonly payload: Uint8Array;
  readonly codec: number;
  readonly maxBytes: number;
}

export type CodecJob = DecompressJob | CheckJob | CompressJob;

/** Why a payload was refused. */
export interface JobFault {
  readonly fault: 'corrupt' | 'too large';
  readonly message: string;
}

/** What became of the records: uncompressed, or compressed. */
export interface DecompressResult {
  readonly payload: Uint8Array;
}

export interface CheckResult {
  readonly findings: RecordFindings;
  /** The records in the target's codec; undefined where none was asked for, or records are at fault. */
  readonly payload: Uint8Array | undefined;
}

export type JobResult<J extends CodecJob> =
  | (J extends CheckJob ? CheckResult : DecompressResult)
  | JobFault;

export async function runCodecJob<J extends CodecJob>(job: J): Promise<JobResult<J>> {
  try {
    return (await run(job)) as JobResult<J>;
  } catch (error) {
    if (error instanceof DecompressionLimit) {
      return { fault: 'too large', message: error.message };
    }
    if (error instanceof CorruptCompression || error instanceof InvalidRecords) {
      return { fault: 'corrupt', message: error.message };
    }
    throw error;
  }
}

async function run(job: CodecJob): Promise<DecompressResult | CheckResult> {
  const codec = await loadCodec(job.codec);
  if (job.kind === 'compress') return { payload: codec.compress(asBuffer(job.payload)) };
  const limit = decompressionLimit(job.payload.length, job.maxBytes);
  const payload = codec.decompress(asBuffer(job.payload), limit);
  if (job.kind === 'decompress') return { payload };
  const { claims, rules, nowMs } = job;
  const maxRecordBytes = job.codec === Codec.none ? undefined : job.maxRecordBytes;
  const findings = checkRecords(payload, 0, payload.length, claims, rules, nowMs, maxRecordBytes);
  if (job.target === undefined || findings.errors.length > 0) {
    return { findings, payload: undefined };
  }
  const target = await loadCodec(job.target.codec);
  return { findings, payload: target.compress(payload, job.target.level) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Kafka's name of a codec, for messages. */
export function codecName(codec: number): string {
  return codecNames[codec] ?? `codec ${codec}`;
}

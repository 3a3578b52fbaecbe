/** A load that a broker is put under, made in a thread of its own so that clean clients are timed well. */

export const LOAD_NAMES = ['flood', 'crowd', 'deaf'] as const;
export type LoadName = (typeof LOAD_NAMES)[number];

/** What a thread is told to make. */
export interface LoadOrder {
  readonly name: LoadName;
  readonly host: string;
  readonly port: number;
  readonly topic: string;
  readonly partitions: number;
  /** Of the flood: what is offered. */
  readonly bytesPerSecond: number;
  /** Of the others. */
  readonly connections: number;
}

/** What became of a load. */
export interface LoadCounts {
  /** Bytes of records that were due, and those that were acknowledged. */
  readonly offeredBytes: number;
  readonly takenBytes: number;
  /** Requests that were answered with an error, and connections that the broker closed. */
  readonly refused: number;
  readonly closed: number;
  readonly answers: number;
}

export interface Load {
  /** Resolves when all of it is there; loading goes on until `stop`. */
  start(): Promise<void>;
  /** Lets go of everything at once. */
  stop(): LoadCounts;
}

export const NOTHING: LoadCounts = {
  offeredBytes: 0,
  takenBytes: 0,
  refused: 0,
  closed: 0,
  answers: 0,
};

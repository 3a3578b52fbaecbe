/**
 * A slice that is asked for by other than a Kafka connection: one partition, read and waited for by
 * the same code as a Fetch (fetch-run.ts), with the same watchers, limits and count of memory.
 */

import { ErrorCode } from '../protocol/errors.ts';
import { ZERO_UUID } from '../protocol/schema.ts';
import type { RequestContext } from './api.ts';
import type { LocationAnswer, LocationTeller } from './fetch-location.ts';
import { FetchRun } from './fetch-run.ts';
import { type FetchContext, SessionPartition } from './fetch-sessions.ts';
import { FetchSlice } from './fetch-slice.ts';
import type { Locations } from './locations.ts';
import type { Partition } from './partition.ts';

export interface SliceRequest {
  readonly from: number;
  readonly minBytes: number;
  /** Of records that are read. */
  readonly maxBytes: number;
  /** Of records that are located; undefined where a location is no answer. */
  readonly locatedMaxBytes: number | undefined;
  readonly timeoutMs: number;
  readonly readCommitted: boolean;
}

/** A slice that was read; its buffers are counted as of an answer until `release`. */
export interface SliceReading {
  readonly slice: FetchSlice;
  /** Call exactly once. */
  release(): void;
}

/** Takes every location: who asks by HTTP is sent on to its URL. */
class AnyLocation implements LocationTeller {
  readonly maxBytes: number;
  readonly partitionMaxBytes: number;
  readonly #locations: Locations;

  constructor(maxBytes: number, locations: Locations) {
    this.maxBytes = maxBytes;
    this.partitionMaxBytes = maxBytes;
    this.#locations = locations;
  }

  tell(...[partition, location]: Parameters<LocationTeller['tell']>): LocationAnswer {
    const lastEpoch = partition.log.epochAt(location.nextOffset - 1);
    const url = this.#locations.redirect(partition.log, location);
    return { ...location, hostId: '', url, lastEpoch };
  }
}

/** No session: each request stands for itself. */
function alone(asked: SessionPartition): FetchContext {
  return {
    errorCode: ErrorCode.NONE,
    partitions: [asked],
    answer: (outcomes) => ({ errorCode: ErrorCode.NONE, sessionId: 0, outcomes }),
  };
}

function reading(run: FetchRun<SliceReading>): SliceReading {
  const { memory } = run.context.services;
  const slice = run.slices[0]!;
  const answerBytes = slice.location === undefined ? slice.sizeBytes : 0;
  memory.take('answers', answerBytes);
  run.answered();
  const release = () => {
    memory.give('answers', answerBytes);
    run.release();
  };
  return { slice, release };
}

/** Reads a slice, waiting for it as long as it may; at once where there is nothing to wait for. */
export function readSlice(
  context: RequestContext,
  partition: Partition,
  request: SliceRequest,
): SliceReading | Promise<SliceReading> {
  const { from, minBytes, maxBytes, locatedMaxBytes, timeoutMs, readCommitted } = request;
  const asked = new SessionPartition(partition.topic.name, ZERO_UUID, {
    partition: partition.index,
    fetchOffset: from,
    partitionMaxBytes: Math.max(maxBytes, locatedMaxBytes ?? 0),
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  });
  const list = readCommitted ? partition.stable : partition.visible;
  const { locations } = context.services;
  const limits = {
    minBytes,
    maxBytes,
    maxWaitMs: timeoutMs,
    readCommitted,
    locating:
      locatedMaxBytes === undefined ? undefined : new AnyLocation(locatedMaxBytes, locations),
    replicaId: -1,
  };
  const slices = [new FetchSlice(asked, partition, list)];
  const given = new FetchRun(context, alone(asked), slices, limits, reading).start();
  return given instanceof FetchRun ? given.promise() : given;
}

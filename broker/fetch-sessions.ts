/**
 * Incremental fetch sessions (KIP-227): the broker remembers which partitions a client fetches,
 * and from where, so that a request names only what has changed, and an answer only what is new.
 *
 * A request of epoch 0 or -1 is full: it names all its partitions and ends the session it names;
 * epoch 0 asks for a new session, which is made with the answer, if there is room. Any other epoch
 * is incremental and must be the one that follows the last. Answering session id 0, "no session",
 * is always allowed, so the cache is bounded in sessions and in partitions.
 * Counterpart of Kafka's FetchSession.
 */

import { ErrorCode } from '../protocol/errors.ts';
import type { FetchRequest } from '../protocol/messages/fetch.ts';
import { type Decoded, ZERO_UUID } from '../protocol/schema.ts';
import type { Clock, Random } from '../storage/env.ts';
import type { Metrics } from './metrics.ts';

type Request = Decoded<typeof FetchRequest>;
type AskedPartition = Pick<
  Request['topics'][number]['partitions'][number],
  'partition' | 'fetchOffset' | 'partitionMaxBytes' | 'currentLeaderEpoch' | 'lastFetchedEpoch'
>;

/** A session that was not used for so long gives way to any new one, as in Kafka. */
const STALE_AFTER_MS = 120_000;
/** Partitions of all sessions together; about 250 bytes each. */
const MAX_CACHED_PARTITIONS = 400_000;
/** First version that names topics by id. */
const TOPIC_ID_VERSION = 13;

const INITIAL_EPOCH = 0;
const FINAL_EPOCH = -1;
const NO_SESSION = 0;

/** The epoch that follows; from 2^31-1 it goes to 1, since 0 asks for a new session. */
export function nextEpoch(epoch: number): number {
  return epoch === 0x7fff_ffff ? 1 : epoch + 1;
}

/** What a client asks of one partition, and what the session's last answer said of it. */
export class SessionPartition {
  /** The topic's name; with topic ids, undefined until the id is known. */
  topic: string | undefined;
  readonly topicId: string;
  readonly partition: number;
  fetchOffset = 0;
  maxBytes = 0;
  currentLeaderEpoch = -1;
  lastFetchedEpoch = -1;
  /** Of the last answer; -1 makes the next answer name the partition. */
  sentHighWatermark = -1;
  sentLogStartOffset = -1;

  constructor(topic: string | undefined, topicId: string, asked: AskedPartition) {
    this.topic = topic;
    this.topicId = topicId;
    this.partition = asked.partition;
    this.update(asked);
  }

  update(asked: AskedPartition): void {
    this.fetchOffset = asked.fetchOffset;
    this.maxBytes = asked.partitionMaxBytes;
    this.currentLeaderEpoch = asked.currentLeaderEpoch;
    this.lastFetchedEpoch = asked.lastFetchedEpoch;
  }

  get key(): string {
    return partitionKey(this.topicId, this.topic, this.partition);
  }
}

/** With topic ids a partition is known by its id alone, as the name may not be known yet. */
function partitionKey(topicId: string, topic: string | undefined, partition: number): string {
  return topicId === ZERO_UUID ? `${partition}:${topic}` : `${partition}/${topicId}`;
}

type PartitionMap = Map<string, SessionPartition>;

/** What an answer says of one partition, as far as sessions care. */
export interface PartitionOutcome {
  readonly asked: SessionPartition;
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly sizeBytes: number;
  readonly diverges: boolean;
}

/** How one request stands to its session. */
export interface FetchContext {
  /** An error of the request as a whole, or 0. */
  readonly errorCode: number;
  /** The partitions to be read, in the order in which they are to be read. */
  readonly partitions: readonly SessionPartition[];
  /** Which outcomes are to be sent, and the session the answer names. */
  answer<O extends PartitionOutcome>(outcomes: readonly O[]): SessionAnswer<O>;
}

export interface SessionAnswer<O> {
  readonly errorCode: number;
  readonly sessionId: number;
  readonly outcomes: readonly O[];
}

class Session {
  readonly id: number;
  readonly usesTopicIds: boolean;
  readonly partitions: PartitionMap;
  readonly createdMs: number;
  usedMs: number;
  epoch = nextEpoch(INITIAL_EPOCH);

  constructor(id: number, usesTopicIds: boolean, partitions: PartitionMap, nowMs: number) {
    this.id = id;
    this.usesTopicIds = usesTopicIds;
    this.partitions = partitions;
    this.createdMs = nowMs;
    this.usedMs = nowMs;
  }
}

class ErrorContext implements FetchContext {
  readonly errorCode: number;
  readonly partitions: readonly SessionPartition[] = [];

  constructor(errorCode: number) {
    this.errorCode = errorCode;
  }

  answer(): SessionAnswer<never> {
    return { errorCode: this.errorCode, sessionId: NO_SESSION, outcomes: [] };
  }
}

/** A full request; `sessions` is given when a session is wanted. */
class FullContext implements FetchContext {
  readonly errorCode = ErrorCode.NONE;
  readonly partitions: readonly SessionPartition[];
  readonly #usesTopicIds: boolean;
  readonly #sessions: FetchSessions | undefined;

  constructor(
    partitions: readonly SessionPartition[],
    usesTopicIds: boolean,
    sessions?: FetchSessions,
  ) {
    this.partitions = partitions;
    this.#usesTopicIds = usesTopicIds;
    this.#sessions = sessions;
  }

  answer<O extends PartitionOutcome>(outcomes: readonly O[]): SessionAnswer<O> {
    for (const outcome of outcomes) remember(outcome);
    const sessionId = this.#sessions?.create(this.partitions, this.#usesTopicIds) ?? NO_SESSION;
    return { errorCode: ErrorCode.NONE, sessionId, outcomes };
  }
}

class IncrementalContext implements FetchContext {
  readonly errorCode = ErrorCode.NONE;
  readonly partitions: readonly SessionPartition[];
  readonly #session: Session;
  readonly #epoch: number;

  constructor(session: Session) {
    this.partitions = [...session.partitions.values()];
    this.#session = session;
    this.#epoch = session.epoch;
  }

  answer<O extends PartitionOutcome>(outcomes: readonly O[]): SessionAnswer<O> {
    const session = this.#session;
    if (session.epoch !== this.#epoch) {
      // Another request of the session came while this one waited: it was sent twice.
      const errorCode = ErrorCode.INVALID_FETCH_SESSION_EPOCH;
      return { errorCode, sessionId: session.id, outcomes: [] };
    }
    const sent: O[] = [];
    for (const outcome of outcomes) {
      if (!remember(outcome)) continue;
      sent.push(outcome);
      if (outcome.sizeBytes > 0) {
        // Whoever got data goes to the end, so that a full answer starves nobody.
        const { key } = outcome.asked;
        session.partitions.delete(key);
        session.partitions.set(key, outcome.asked);
      }
    }
    return { errorCode: ErrorCode.NONE, sessionId: session.id, outcomes: sent };
  }
}

/** Notes what is answered of a partition; gives whether that is worth saying in a session. */
function remember(outcome: PartitionOutcome): boolean {
  const { asked } = outcome;
  const failed = outcome.errorCode !== ErrorCode.NONE;
  const changed =
    asked.sentHighWatermark !== outcome.highWatermark ||
    asked.sentLogStartOffset !== outcome.logStartOffset;
  // After an error the partition is named again, whatever its marks are then.
  asked.sentHighWatermark = failed ? -1 : outcome.highWatermark;
  asked.sentLogStartOffset = outcome.logStartOffset;
  return changed || failed || outcome.sizeBytes > 0 || outcome.diverges;
}

/** The sessions of a broker. */
export class FetchSessions {
  readonly #slots: number;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #metrics: Metrics;
  /** In the order of use, the one unused for longest first. */
  readonly #sessions = new Map<number, Session>();
  #cachedPartitions = 0;

  /** `slots` is `max.incremental.fetch.session.cache.slots`. */
  constructor(slots: number, clock: Clock, random: Random, metrics: Metrics) {
    this.#slots = slots;
    this.#clock = clock;
    this.#random = random;
    this.#metrics = metrics;
    metrics.gauge('fetch_sessions').from(() => this.#sessions.size);
  }

  get size(): number {
    return this.#sessions.size;
  }

  get cachedPartitions(): number {
    return this.#cachedPartitions;
  }

  /** Takes a request in: ends, continues or prepares a session. `nameOf` knows topics by id. */
  begin(
    request: Request,
    version: number,
    nameOf: (topicId: string) => string | undefined,
  ): FetchContext {
    const usesTopicIds = version >= TOPIC_ID_VERSION;
    const { sessionId, sessionEpoch } = request;
    if (sessionEpoch === INITIAL_EPOCH || sessionEpoch === FINAL_EPOCH) {
      this.#remove(this.#sessions.get(sessionId));
      const wanted = sessionEpoch === INITIAL_EPOCH ? this : undefined;
      return new FullContext(allAsked(request, usesTopicIds, nameOf), usesTopicIds, wanted);
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return new ErrorContext(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    if (session.epoch !== sessionEpoch) {
      return new ErrorContext(ErrorCode.INVALID_FETCH_SESSION_EPOCH);
    }
    if (session.usesTopicIds !== usesTopicIds) {
      return new ErrorContext(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR);
    }
    return this.#continue(session, request, nameOf);
  }

  /** Makes a session of partitions that were just answered; 0 when there is no room for it. */
  create(asked: readonly SessionPartition[], usesTopicIds: boolean): number {
    const nowMs = this.#clock.monotonic();
    if (asked.length > MAX_CACHED_PARTITIONS) return NO_SESSION;
    while (
      this.#sessions.size >= this.#slots ||
      this.#cachedPartitions + asked.length > MAX_CACHED_PARTITIONS
    ) {
      if (!this.#evict(asked.length, nowMs)) return NO_SESSION;
    }
    const partitions: PartitionMap = new Map();
    for (const partition of asked) partitions.set(partition.key, partition);
    let id: number;
    do id = 1 + Math.floor(this.#random.fraction() * 0x7fff_fffe);
    while (this.#sessions.has(id));
    this.#sessions.set(id, new Session(id, usesTopicIds, partitions, nowMs));
    this.#cachedPartitions += partitions.size;
    return id;
  }

  #continue(
    session: Session,
    request: Request,
    nameOf: (topicId: string) => string | undefined,
  ): FetchContext {
    const { partitions } = session;
    this.#remove(session);
    addAsked(partitions, request, session.usesTopicIds, nameOf);
    for (const topic of request.forgottenTopicsData) {
      for (const index of topic.partitions) {
        partitions.delete(partitionKey(topic.topicId, topic.topic, index));
      }
    }
    if (partitions.size === 0) return new FullContext([], session.usesTopicIds);
    if (this.#cachedPartitions + partitions.size > MAX_CACHED_PARTITIONS) {
      return new ErrorContext(ErrorCode.FETCH_SESSION_ID_NOT_FOUND);
    }
    // Back in, as the last one used.
    this.#sessions.set(session.id, session);
    this.#cachedPartitions += partitions.size;
    session.usedMs = this.#clock.monotonic();
    session.epoch = nextEpoch(session.epoch);
    if (session.usesTopicIds) {
      for (const partition of partitions.values()) partition.topic ??= nameOf(partition.topicId);
    }
    return new IncrementalContext(session);
  }

  /**
   * Makes room: drops the session that was not used for longest, if that is long, else the
   * smallest of those that have been there for long, if it is smaller than the new one.
   */
  #evict(newSize: number, nowMs: number): boolean {
    let victim: Session | undefined;
    for (const session of this.#sessions.values()) {
      if (victim === undefined && nowMs - session.usedMs > STALE_AFTER_MS) {
        victim = session;
        break;
      }
      if (nowMs - session.createdMs <= STALE_AFTER_MS) continue;
      if (victim === undefined || session.partitions.size < victim.partitions.size) {
        victim = session;
      }
    }
    if (victim === undefined) return false;
    const isStale = nowMs - victim.usedMs > STALE_AFTER_MS;
    if (!isStale && victim.partitions.size >= newSize) return false;
    this.#remove(victim);
    this.#metrics.counter('fetch_sessions_evicted_total').add();
    return true;
  }

  #remove(session: Session | undefined): void {
    if (session === undefined) return;
    this.#sessions.delete(session.id);
    this.#cachedPartitions -= session.partitions.size;
  }
}

/** The partitions that a full request names. */
function allAsked(
  request: Request,
  usesTopicIds: boolean,
  nameOf: (topicId: string) => string | undefined,
): readonly SessionPartition[] {
  const { topics } = request;
  // The common case: no need to look for what is named twice.
  if (topics.length === 1 && topics[0]!.partitions.length === 1) {
    const { topic, topicId, partitions } = topics[0]!;
    const name = usesTopicIds ? nameOf(topicId) : topic;
    return [new SessionPartition(name, topicId, partitions[0]!)];
  }
  const all: PartitionMap = new Map();
  addAsked(all, request, usesTopicIds, nameOf);
  return [...all.values()];
}

/** Adds what a request names; of a partition named twice, the last counts. */
function addAsked(
  partitions: PartitionMap,
  request: Request,
  usesTopicIds: boolean,
  nameOf: (topicId: string) => string | undefined,
): void {
  for (const topic of request.topics) {
    const name = usesTopicIds ? nameOf(topic.topicId) : topic.topic;
    for (const asked of topic.partitions) {
      const key = partitionKey(topic.topicId, name, asked.partition);
      const known = partitions.get(key);
      if (known === undefined) {
        partitions.set(key, new SessionPartition(name, topic.topicId, asked));
      } else known.update(asked);
    }
  }
}

/**
 * The topics of the broker: by name and by id, with their configurations and partitions. What is
 * shown here is what is durable in __cluster_metadata; changes are checked against what is planned
 * there, so that two requests never make the same topic.
 */

import { ProtocolError } from '../protocol/errors.ts';
import type { Env } from '../storage/env.ts';
import type { TopicLogs } from '../storage/store.ts';
import type { LogStore } from '../storage/types.ts';
import type { Config, TopicConfig } from './config.ts';
import { partitionRecord, ResourceType, type TopicImage } from './metadata-image.ts';
import type { MetadataLog } from './metadata-log.ts';
import type { MetadataRecord, NewMetadataRecord } from './metadata-records.ts';
import { Partition, type PartitionServices } from './partition.ts';
import { collisionKey, isInternalTopic, METADATA_TOPIC, topicNameFault } from './topic-names.ts';
import {
  checkIncrease,
  checkRecordCount,
  collisionNames,
  type NewTopic,
  planTopic,
  type TopicPlan,
} from './topic-plan.ts';

export { TopicConfig } from './config.ts';
export type { NewTopic, ReplicaAssignment, TopicPlan } from './topic-plan.ts';

export interface Topic {
  readonly name: string;
  /** As Kafka prints it: base64url, 22 characters. */
  readonly id: string;
  readonly internal: boolean;
  readonly config: TopicConfig;
  readonly partitions: readonly Partition[];
}

/** A topic whose lists grow here. */
interface OwnTopic extends Topic {
  readonly partitions: Partition[];
}

export interface TopicsServices {
  readonly env: Env;
  readonly config: Config;
  readonly nodeId: number;
  readonly logs: LogStore;
  readonly metadata: MetadataLog;
}

/** Told of topics and partitions when they come and go. */
export interface TopicListener {
  /** The topic is new, or has new partitions from `firstNew` on. */
  added?(topic: Topic, firstNew: number): void;
  /** The topic is gone; its partitions take no more. */
  removed?(topic: Topic): void;
}

/** How the creation of each topic of a request came out, in the request's order. */
export type CreationOutcome =
  | { readonly plan: TopicPlan; readonly error?: undefined }
  | { readonly plan?: undefined; readonly error: ProtocolError };

/** The topics that the metadata has, for the recovery of their logs. */
export function knownTopics(metadata: MetadataLog, config: Config): TopicLogs[] {
  const known: TopicLogs[] = [];
  for (const { id, name, partitions } of metadata.committed.topics()) {
    const settings = metadata.committed.settings(ResourceType.topic, name);
    const options = config.topicConfig(settings, isInternalTopic(name)).logOptions();
    known.push({ topic: name, topicId: id, partitions, options });
  }
  return known;
}

export class Topics {
  readonly #services: TopicsServices;
  readonly #partitionServices: PartitionServices;
  readonly #byName = new Map<string, OwnTopic>();
  readonly #byId = new Map<string, OwnTopic>();
  readonly #listeners: TopicListener[] = [];
  /** Creations by name that are on their way, for those that want the same topic. */
  readonly #creating = new Map<string, Promise<Topic>>();
  /** Topics whose files are being removed: a new topic of the name waits for it. */
  readonly #removing = new Map<string, Promise<void>>();
  #partitionCount = 0;

  /** The logs of the known topics must have been recovered. */
  constructor(services: TopicsServices) {
    this.#services = services;
    this.#partitionServices = { logs: services.logs, clock: services.env.clock };
    for (const image of services.metadata.committed.topics()) this.#show(image);
    services.metadata.onCommit((records) => this.#committed(records));
    services.config.onChange(() => this.#refreshLogOptions());
  }

  get(name: string): Topic | undefined {
    return this.#byName.get(name);
  }

  byId(id: string): Topic | undefined {
    return this.#byId.get(id);
  }

  /** All topics, in the order of their creation. */
  all(): IterableIterator<Topic> {
    return this.#byName.values();
  }

  get count(): number {
    return this.#byName.size;
  }

  get partitionCount(): number {
    return this.#partitionCount;
  }

  partition(name: string, index: number): Partition | undefined {
    return this.#byName.get(name)?.partitions[index];
  }

  onChange(listener: TopicListener): void {
    this.#listeners.push(listener);
  }

  /** Creates one topic; durable when it resolves. Throws ProtocolError. */
  async create(topic: NewTopic): Promise<Topic> {
    const [outcome] = await this.createAll([topic], false);
    if (outcome?.error !== undefined) throw outcome.error;
    return this.#require(topic.name);
  }

  /**
   * Creates many topics with one append. Each comes out for itself; what can be created is durable
   * when it resolves. `validateOnly` checks and changes nothing.
   */
  async createAll(topics: readonly NewTopic[], validateOnly: boolean): Promise<CreationOutcome[]> {
    const { metadata } = this.#services;
    await metadata.recover();
    await this.#removed(topics.map((topic) => topic.name));
    const records: NewMetadataRecord[] = [];
    const collisions = collisionNames(topics, metadata.planned.topics());
    const outcomes = topics.map((topic): CreationOutcome => {
      try {
        const plan = this.#plan(topic, collisions);
        checkRecordCount(records.length + plan.records.length);
        records.push(...plan.records);
        return { plan };
      } catch (error) {
        if (error instanceof ProtocolError) return { error };
        throw error;
      }
    });
    const others = topics.map((topic) => this.#creating.get(topic.name));
    if (!validateOnly) await this.#append(outcomes, records);
    // What another request is creating is there when this one is answered that it exists.
    await Promise.allSettled(others);
    return outcomes;
  }

  /** Writes what was planned, and lets others wait for the same topics. */
  async #append(
    outcomes: readonly CreationOutcome[],
    records: readonly NewMetadataRecord[],
  ): Promise<void> {
    const done = this.#services.metadata.append(records);
    const names: string[] = [];
    for (const { plan } of outcomes) {
      if (plan === undefined) continue;
      names.push(plan.name);
      const creation = done.then(() => this.#require(plan.name));
      // Whoever waits for it is told; nobody may be waiting.
      creation.catch(() => undefined);
      this.#creating.set(plan.name, creation);
    }
    try {
      await done;
    } finally {
      for (const name of names) this.#creating.delete(name);
    }
  }

  #plan(topic: NewTopic, collisions: ReadonlyMap<string, string>): TopicPlan {
    const { config, nodeId, metadata, env } = this.#services;
    if (metadata.planned.topicByName(topic.name) !== undefined) {
      throw new ProtocolError('TOPIC_ALREADY_EXISTS', `Topic '${topic.name}' already exists.`);
    }
    const colliding = collisions.get(collisionKey(topic.name));
    if (colliding !== undefined && topicNameFault(topic.name) === undefined) {
      throw new ProtocolError(
        'INVALID_TOPIC_EXCEPTION',
        `Topic '${topic.name}' collides with existing topic: ${colliding}`,
      );
    }
    return planTopic(topic, config, nodeId, env.random);
  }

  /**
   * The topic of a name that a client asked for, made with the defaults when there is none. All
   * that ask at the same time get the one that is made. The broker's own topics are made by what
   * needs them, with settings of their own. Throws ProtocolError.
   */
  async autoCreate(name: string): Promise<Topic> {
    if (name === METADATA_TOPIC || (isInternalTopic(name) && !this.#byName.has(name))) {
      throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
    }
    return this.#ensure({
      name,
      numPartitions: -1,
      replicationFactor: -1,
      assignments: [],
      configs: [],
    });
  }

  /** A topic of the broker's own, made when there is none. */
  ensureInternal(
    name: string,
    partitions: number,
    configs: Readonly<Record<string, string>>,
  ): Promise<Topic> {
    return this.#ensure({
      name,
      numPartitions: partitions,
      replicationFactor: 1,
      assignments: [],
      configs: Object.entries(configs).map(([option, value]) => ({ name: option, value })),
    });
  }

  async #ensure(topic: NewTopic): Promise<Topic> {
    const existing = this.#existing(topic.name);
    if (existing !== undefined) return existing;
    try {
      return await this.create(topic);
    } catch (error) {
      // Another request was first.
      const made = this.#existing(topic.name);
      if (made === undefined || !isAlreadyThere(error)) throw error;
      return made;
    }
  }

  /** A topic that is there, or on its way. */
  #existing(name: string): Topic | Promise<Topic> | undefined {
    return this.#byName.get(name) ?? this.#creating.get(name);
  }

  /**
   * Deletes topics with one append; durable, and the files gone, when it resolves. Gives those that
   * it deleted: the others were another request's.
   */
  async deleteAll(topics: readonly Topic[]): Promise<Topic[]> {
    const { metadata } = this.#services;
    await metadata.recover();
    const doomed = topics.filter(({ id }) => metadata.planned.topic(id) !== undefined);
    await metadata.append(
      doomed.map(({ id }) => ({ kind: 'RemoveTopicRecord', value: { topicId: id } })),
    );
    await this.#removed(doomed.map((topic) => topic.name));
    return doomed;
  }

  async delete(topic: Topic): Promise<void> {
    await this.deleteAll([topic]);
  }

  /** Raises the number of partitions; durable when it resolves. Throws ProtocolError. */
  async addPartitions(
    topic: Topic,
    total: number,
    assignments: readonly { readonly brokerIds: readonly number[] }[] | null = null,
    validateOnly = false,
  ): Promise<void> {
    const { metadata, nodeId } = this.#services;
    await metadata.recover();
    const planned = metadata.planned.topic(topic.id);
    if (planned === undefined) throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
    const current = planned.partitions;
    checkIncrease(topic.name, current, total, assignments, nodeId);
    if (validateOnly) return;
    const records: NewMetadataRecord[] = [];
    for (let index = current; index < total; index++) {
      records.push(partitionRecord(topic.id, index, nodeId));
    }
    await metadata.append(records);
  }

  /** New settings of the broker are in force for all topics' logs. */
  #refreshLogOptions(): void {
    for (const topic of this.#byName.values()) {
      this.#services.logs.setOptions(topic.id, topic.config.logOptions());
    }
  }

  #require(name: string): Topic {
    const topic = this.#byName.get(name);
    if (topic !== undefined) return topic;
    // Deleted by another request as soon as it was there.
    throw new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION');
  }

  /** Resolves when no files of topics of these names are being removed any more. */
  async #removed(names: readonly string[]): Promise<void> {
    for (const name of names) await this.#removing.get(name);
  }

  /** Records have become durable: what they say is shown. */
  #committed(records: readonly MetadataRecord[]): void {
    const { metadata } = this.#services;
    const grown = new Set<string>();
    const configured = new Set<string>();
    for (const record of records) {
      if (record.kind === 'TopicRecord') grown.add(record.value.topicId);
      else if (record.kind === 'PartitionRecord') grown.add(record.value.topicId);
      else if (record.kind === 'RemoveTopicRecord') this.#hide(record.value.topicId);
      else if (record.kind === 'ConfigRecord' && record.value.resourceType === ResourceType.topic) {
        configured.add(record.value.resourceName);
      }
    }
    for (const name of configured) this.#reconfigure(name);
    for (const id of grown) {
      const image = metadata.committed.topic(id);
      if (image !== undefined) this.#show(image);
    }
  }

  #reconfigure(name: string): void {
    const { metadata, logs } = this.#services;
    const topic = this.#byName.get(name);
    if (topic === undefined) return;
    topic.config.setOverrides(metadata.committed.settings(ResourceType.topic, name));
    logs.setOptions(topic.id, topic.config.logOptions());
  }

  /** Makes a topic, or its new partitions, known. */
  #show(image: TopicImage): void {
    const { metadata, config, logs } = this.#services;
    const { id, name } = image;
    let topic = this.#byId.get(id);
    if (topic === undefined) {
      const internal = isInternalTopic(name);
      const settings = metadata.committed.settings(ResourceType.topic, name);
      topic = {
        id,
        name,
        internal,
        config: config.topicConfig(settings, internal),
        partitions: [],
      };
      this.#byId.set(id, topic);
      this.#byName.set(name, topic);
    }
    const firstNew = topic.partitions.length;
    const options = topic.config.logOptions();
    for (let index = firstNew; index < image.partitions; index++) {
      const log = logs.get(id, index) ?? logs.create(name, id, index, options);
      topic.partitions.push(new Partition(topic, index, log, this.#partitionServices));
    }
    this.#partitionCount += topic.partitions.length - firstNew;
    for (const listener of this.#listeners) listener.added?.(topic, firstNew);
  }

  #hide(id: string): void {
    const { env, logs } = this.#services;
    const topic = this.#byId.get(id);
    if (topic === undefined) return;
    this.#byId.delete(id);
    this.#byName.delete(topic.name);
    this.#partitionCount -= topic.partitions.length;
    for (const partition of topic.partitions) partition.deleted();
    for (const listener of this.#listeners) listener.removed?.(topic);
    const removals = topic.partitions.map((partition) => logs.remove(id, partition.index));
    const removal = Promise.allSettled(removals).then((results) => {
      this.#removing.delete(topic.name);
      for (const result of results) {
        if (result.status === 'fulfilled') continue;
        // The deletion itself is durable: what is left is removed at the next start.
        env.log.error({ topic: topic.name, error: result.reason }, 'files could not be removed');
      }
    });
    this.#removing.set(topic.name, removal);
  }
}

function isAlreadyThere(error: unknown): boolean {
  return error instanceof ProtocolError && error.errorName === 'TOPIC_ALREADY_EXISTS';
}

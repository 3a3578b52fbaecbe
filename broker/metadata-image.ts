/**
 * What the records of __cluster_metadata, one applied after the other, say: topics, configurations,
 * producer ids, feature levels, quotas, users, ACLs. A pure value; nothing here knows of logs or
 * files.
 */

import type { MetadataRecord, NewMetadataRecord } from './metadata-records.ts';
import { AclImage } from './security/acl-image.ts';
import { QuotaImage } from './security/quota-image.ts';
import { ScramImage } from './security/scram-image.ts';

/** Kinds of things that have configurations, by Kafka's ids. */
export const ResourceType = {
  topic: 2,
  broker: 4,
  brokerLogger: 8,
  clientMetrics: 16,
  group: 32,
} as const;

export interface TopicImage {
  readonly id: string;
  readonly name: string;
  partitions: number;
}

const NO_SETTINGS: ReadonlyMap<string, string> = new Map();

export class MetadataImage {
  readonly #topics = new Map<string, TopicImage>();
  readonly #idsByName = new Map<string, string>();
  /** Settings by resource type and name. */
  readonly #settings = new Map<number, Map<string, Map<string, string>>>();
  readonly #features = new Map<string, number>();
  readonly quotas = new QuotaImage();
  readonly scram = new ScramImage();
  readonly acls = new AclImage();
  #nextProducerId = 0;

  /** The first producer id that no block has taken yet. */
  get nextProducerId(): number {
    return this.#nextProducerId;
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  topics(): IterableIterator<TopicImage> {
    return this.#topics.values();
  }

  topic(id: string): TopicImage | undefined {
    return this.#topics.get(id);
  }

  topicByName(name: string): TopicImage | undefined {
    const id = this.#idsByName.get(name);
    return id === undefined ? undefined : this.#topics.get(id);
  }

  feature(name: string): number | undefined {
    return this.#features.get(name);
  }

  /** What was set for a resource, by configuration name. */
  settings(resourceType: number, resourceName: string): ReadonlyMap<string, string> {
    return this.#settings.get(resourceType)?.get(resourceName) ?? NO_SETTINGS;
  }

  /** Names of the resources of a type that have settings. */
  resources(resourceType: number): string[] {
    return [...(this.#settings.get(resourceType)?.keys() ?? [])];
  }

  apply(record: MetadataRecord): void {
    switch (record.kind) {
      case 'TopicRecord': {
        const { topicId, name } = record.value;
        this.#topics.set(topicId, { id: topicId, name, partitions: 0 });
        this.#idsByName.set(name, topicId);
        return;
      }
      case 'PartitionRecord': {
        const topic = this.#topics.get(record.value.topicId);
        if (topic === undefined) return;
        topic.partitions = Math.max(topic.partitions, record.value.partitionId + 1);
        return;
      }
      case 'RemoveTopicRecord':
        this.#removeTopic(record.value.topicId);
        return;
      case 'ConfigRecord': {
        const { resourceType, resourceName, name, value } = record.value;
        this.#set(resourceType, resourceName, name, value);
        return;
      }
      case 'ProducerIdsRecord':
        this.#nextProducerId = Math.max(this.#nextProducerId, record.value.nextProducerId);
        return;
      case 'FeatureLevelRecord':
        this.#features.set(record.value.name, record.value.featureLevel);
        return;
      case 'ClientQuotaRecord':
        this.quotas.apply(record.value);
        return;
      case 'UserScramCredentialRecord':
        this.scram.apply(record.value);
        return;
      case 'RemoveUserScramCredentialRecord':
        this.scram.remove(record.value);
        return;
      case 'AccessControlEntryRecord':
        this.acls.apply(record.value);
        return;
      case 'RemoveAccessControlEntryRecord':
        this.acls.remove(record.value.id);
        return;
      case 'NoOpRecord':
        return;
    }
  }

  #removeTopic(id: string): void {
    const topic = this.#topics.get(id);
    if (topic === undefined) return;
    this.#topics.delete(id);
    if (this.#idsByName.get(topic.name) === id) this.#idsByName.delete(topic.name);
    this.#settings.get(ResourceType.topic)?.delete(topic.name);
  }

  #set(type: number, resource: string, name: string, value: string | null): void {
    let resources = this.#settings.get(type);
    if (resources === undefined) {
      resources = new Map();
      this.#settings.set(type, resources);
    }
    // A new map each time: those that were given out stay as they were.
    const settings = new Map(resources.get(resource));
    if (value === null) settings.delete(name);
    else settings.set(name, value);
    if (settings.size === 0) resources.delete(resource);
    else resources.set(resource, settings);
  }

  /** Records that make this image out of an empty one, in the order in which KRaft writes them. */
  *records(nodeId: number): Generator<NewMetadataRecord> {
    for (const [name, featureLevel] of this.#features) {
      yield { kind: 'FeatureLevelRecord', value: { name, featureLevel } };
    }
    for (const topic of this.#topics.values()) {
      yield { kind: 'TopicRecord', value: { name: topic.name, topicId: topic.id } };
      for (let index = 0; index < topic.partitions; index++) {
        yield partitionRecord(topic.id, index, nodeId);
      }
    }
    for (const [resourceType, resources] of this.#settings) {
      for (const [resourceName, settings] of resources) {
        for (const [name, value] of settings) {
          yield { kind: 'ConfigRecord', value: { resourceType, resourceName, name, value } };
        }
      }
    }
    for (const value of this.quotas.records()) yield { kind: 'ClientQuotaRecord', value };
    if (this.#nextProducerId > 0) {
      const value = { brokerId: nodeId, nextProducerId: this.#nextProducerId };
      yield { kind: 'ProducerIdsRecord', value };
    }
    for (const value of this.acls.all()) yield { kind: 'AccessControlEntryRecord', value };
    for (const value of this.scram.records()) {
      yield { kind: 'UserScramCredentialRecord', value };
    }
  }
}

/** The record of a partition whose one replica and leader is this node. */
export function partitionRecord(topicId: string, index: number, nodeId: number): NewMetadataRecord {
  const value = {
    partitionId: index,
    topicId,
    replicas: [nodeId],
    isr: [nodeId],
    removingReplicas: [],
    addingReplicas: [],
    leader: nodeId,
    leaderEpoch: 0,
    partitionEpoch: 0,
  };
  return { kind: 'PartitionRecord', value };
}

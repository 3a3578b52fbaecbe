/**
 * CreateTopics, API key 19, versions 2-7. All topics of a request are one append to the metadata;
 * they are durable, and Metadata knows them, when they are answered.
 *
 * Version 4: -1 for partitions and replication factor means the defaults (KIP-464). Version 5:
 * flexible, the topic's configurations in the answer (KIP-525). Version 6: quota errors. Version 7:
 * topic ids. Source: Kafka's ControllerApis.createTopics, ReplicationControlManager.
 */

import { ErrorCode, ProtocolError } from '../../protocol/errors.ts';
import {
  CreateTopicsRequest,
  CreateTopicsResponse,
} from '../../protocol/messages/create-topics.ts';
import { type Decoded, type Input, ZERO_UUID } from '../../protocol/schema.ts';
import { api } from '../api.ts';
import { type ConfigEntry, describeTopic } from '../config/describe.ts';
import type { Config } from '../config.ts';
import { repeatedIn } from '../topic-names.ts';
import type { CreationOutcome, TopicPlan } from '../topics.ts';

type Request = Decoded<typeof CreateTopicsRequest>;
type RequestedTopic = Request['topics'][number];
type Result = Input<typeof CreateTopicsResponse>['topics'][number];

const ALL = { names: null, synonyms: false, documentation: false };

/** Tells what was made; topics of the same settings share what is told of their configurations. */
class Successes {
  readonly #config: Config;
  readonly #validateOnly: boolean;
  readonly #tellsConfigs: boolean;
  readonly #described = new Map<string, ConfigEntry[]>();

  constructor(config: Config, validateOnly: boolean, tellsConfigs: boolean) {
    this.#config = config;
    this.#validateOnly = validateOnly;
    this.#tellsConfigs = tellsConfigs;
  }

  of(plan: TopicPlan): Result {
    return {
      name: plan.name,
      topicId: this.#validateOnly ? ZERO_UUID : plan.topicId,
      errorCode: ErrorCode.NONE,
      errorMessage: null,
      numPartitions: plan.partitions,
      replicationFactor: 1,
      configs: this.#tellsConfigs ? this.#configsOf(plan.settings) : [],
    };
  }

  #configsOf(settings: ReadonlyMap<string, string>): ConfigEntry[] {
    const key = JSON.stringify([...settings]);
    let described = this.#described.get(key);
    if (described === undefined) {
      described = describeTopic(this.#config, this.#config.topicConfig(settings, false), ALL);
      this.#described.set(key, described);
    }
    return described;
  }
}

/** What is answered beside an error; the counts and configurations are not told then. */
function failure(name: string, error: ProtocolError): Result {
  return { name, errorCode: error.code, errorMessage: error.message };
}

export const createTopics = api({
  name: 'CreateTopics',
  versions: '2-7',
  request: CreateTopicsRequest,
  response: CreateTopicsResponse,
  async handle({ services, apiVersion }, request) {
    const { topics, config } = services;
    const { validateOnly } = request;
    const repeated = repeatedIn(request.topics.map(({ name }) => name));
    const single = request.topics.filter(({ name }) => !repeated.has(name));
    const outcomes = await topics.createAll(single, validateOnly);
    const successes = new Successes(config, validateOnly, apiVersion >= 5);
    const results = outcomes.map((outcome: CreationOutcome, index): Result => {
      if (outcome.plan !== undefined) return successes.of(outcome.plan);
      return failure((single[index] as RequestedTopic).name, outcome.error);
    });
    for (const name of repeated) {
      results.push(failure(name, new ProtocolError('INVALID_REQUEST', 'Duplicate topic name.')));
    }
    return { throttleTimeMs: 0, topics: results };
  },
  onError: (_context, request, errorCode, errorMessage) => ({
    throttleTimeMs: 0,
    topics: request.topics.map(({ name }) => ({ name, errorCode, errorMessage })),
  }),
});
